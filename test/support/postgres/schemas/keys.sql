-- Keys in circles, deferrable, not valid, of several columns, over exclusion.
CREATE TABLE team (id int PRIMARY KEY, leader int NOT NULL, parent int REFERENCES team DEFERRABLE);
CREATE TABLE member (id int PRIMARY KEY, team int NOT NULL REFERENCES team DEFERRABLE INITIALLY DEFERRED, mentor int REFERENCES member ON DELETE SET NULL ON UPDATE CASCADE);
CREATE TABLE badge (id int PRIMARY KEY, member int UNIQUE REFERENCES member INITIALLY IMMEDIATE);
ALTER TABLE member ADD badge int DEFAULT 1, ADD CONSTRAINT "wears a" FOREIGN KEY (badge) REFERENCES badge NOT VALID DEFERRABLE INITIALLY DEFERRED;
BEGIN;
INSERT INTO team SELECT i, 31 - i, nullif(31 - i, i) FROM generate_series(1, 30) AS i;
INSERT INTO member SELECT i, 31 - i, 1 + i % 30 FROM generate_series(1, 30) AS i;
INSERT INTO badge SELECT i, 31 - i FROM generate_series(1, 30) AS i;
COMMIT;
ALTER TABLE team ADD CONSTRAINT led FOREIGN KEY (leader) REFERENCES member DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE place (country text, city text, code int, UNIQUE (country, city), UNIQUE NULLS NOT DISTINCT (code, city), PRIMARY KEY (code, country) INCLUDE (city));
CREATE TABLE visit (country text, city text, at int, FOREIGN KEY (country, city) REFERENCES place (country, city) MATCH FULL ON DELETE SET DEFAULT ON UPDATE RESTRICT,
  by int, code int, FOREIGN KEY (code, country) REFERENCES place ON DELETE SET NULL (code));
INSERT INTO place VALUES ('at', 'wien', 1), ('at', NULL, 2), ('de', 'wien', 3);
INSERT INTO visit VALUES ('at', 'wien', 1), (NULL, NULL, 2);
CREATE TABLE loose (n int, m int);
INSERT INTO loose VALUES (-1, 999);
ALTER TABLE loose ADD CONSTRAINT positive CHECK (n > 0) NOT VALID, ADD CONSTRAINT gone FOREIGN KEY (m) REFERENCES team NOT VALID;
-- A key that refers to an index which is no constraint, and to a constraint made of one.
CREATE TABLE target (a int NOT NULL, b int NOT NULL);
CREATE UNIQUE INDEX "by a" ON target (a);
CREATE UNIQUE INDEX target_b ON target (b) WITH (fillfactor = 80);
ALTER TABLE target ADD CONSTRAINT "Key B" UNIQUE USING INDEX target_b DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE source (a int REFERENCES target (a) ON DELETE CASCADE);
INSERT INTO target VALUES (1, 2);
INSERT INTO source VALUES (1), (NULL);
CREATE TABLE booking (room int4range, during tstzrange, cancelled bool, "from" inet,
  CONSTRAINT "no overlap" EXCLUDE USING gist (room WITH &&, during WITH &&) WHERE (NOT cancelled) DEFERRABLE INITIALLY DEFERRED,
  EXCLUDE USING spgist (during WITH -|-), EXCLUDE USING btree ((lower(room)) WITH =) INCLUDE (cancelled), EXCLUDE USING hash ("from" WITH =), EXCLUDE USING gist ("from" inet_ops WITH &&));
INSERT INTO booking VALUES ('[1,2)', '[2026-01-01,2026-01-03)', false, '10.0.0.1'), ('[5,9)', '[2027-01-02,2027-02-01)', true, '::1');
ALTER TABLE booking CLUSTER ON booking_from_excl1;
ALTER TABLE target REPLICA IDENTITY USING INDEX "by a";
ALTER TABLE loose REPLICA IDENTITY NOTHING;
CREATE TABLE checks (a int CONSTRAINT "a > 0" CHECK (a > 0), b int, c text, CHECK (a < b AND (b < 100 OR c IS NOT NULL)), CHECK ((a, b) <> (5, 6)), CHECK (c LIKE 'x%' ESCAPE '\'), CHECK (c SIMILAR TO '%(a|b)%' OR true));
INSERT INTO checks VALUES (1, 2, 'xa');
CREATE UNIQUE INDEX ON checks (lower(c) varchar_pattern_ops, (a + b) DESC) WHERE a IS NOT NULL AND c IN ('xa', 'xb');
CREATE INDEX "many ways" ON checks USING btree (a, b DESC NULLS LAST, c COLLATE "C" text_pattern_ops NULLS FIRST) INCLUDE (b) WITH (deduplicate_items = off, fillfactor = 50);
CREATE INDEX ON checks USING brin (a int4_minmax_multi_ops (values_per_range = 16), b int4_bloom_ops) WITH (pages_per_range = 4, autosummarize = on);
CREATE INDEX ON checks USING gin (to_tsvector('simple', c)) WITH (fastupdate = off);
CREATE INDEX ON checks USING hash (c);
CREATE INDEX ON checks USING spgist (c);
CREATE INDEX ON booking USING gist (during range_ops, room) WITH (buffering = off);
CREATE INDEX expressions ON checks ((a * 2), (lower(c)));
ALTER INDEX expressions ALTER COLUMN 1 SET STATISTICS 7, ALTER COLUMN 2 SET STATISTICS 300;
