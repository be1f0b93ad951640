-- What came with 18.
CREATE TABLE generated (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL, c int GENERATED ALWAYS AS (a * 3) STORED, d text GENERATED ALWAYS AS ('x' || a::text));
INSERT INTO generated VALUES (1), (NULL);
CREATE TABLE rooms (id int4range, during daterange, PRIMARY KEY (id, during WITHOUT OVERLAPS), UNIQUE (id, during));
CREATE TABLE bookings (room int4range, during daterange, FOREIGN KEY (room, PERIOD during) REFERENCES rooms (id, PERIOD during));
INSERT INTO rooms VALUES ('[1,2)', '[2026-01-01,2027-01-01)'), ('[1,2)', '[2027-01-01,2028-01-01)');
INSERT INTO bookings VALUES ('[1,2)', '[2026-06-01,2027-06-01)');
CREATE TABLE loose (a int CONSTRAINT positive CHECK (a > 0) NOT ENFORCED, b int PRIMARY KEY, c int REFERENCES loose NOT ENFORCED, d int);
INSERT INTO loose VALUES (-1, 1, 99, NULL);
ALTER TABLE loose ADD CONSTRAINT "d there" NOT NULL d NOT VALID;
CREATE TABLE named (a int CONSTRAINT "a there" NOT NULL NO INHERIT, b int CONSTRAINT named_b_not_null NOT NULL);
CREATE TABLE child () INHERITS (named);
CREATE TABLE own_name (b int CONSTRAINT "mine" NOT NULL) INHERITS (named);
COMMENT ON CONSTRAINT "a there" ON named IS 'of NOT NULL';
CREATE TABLE parted (id int, g int GENERATED ALWAYS AS (id + 1) VIRTUAL) PARTITION BY LIST (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
INSERT INTO parted VALUES (1);
CREATE FUNCTION returning_both() RETURNS SETOF int LANGUAGE sql BEGIN ATOMIC UPDATE generated SET a = 5 RETURNING old.a + new.a; END;
CREATE VIEW folded AS SELECT casefold('Ü' COLLATE "pg_unicode_fast") AS c, uuidv7() IS NOT NULL AS u;
