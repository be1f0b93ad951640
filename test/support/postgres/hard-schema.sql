-- What pg_dump and a restore find hard, with data in it. For a server of its own: it makes roles, too.
CREATE ROLE "Own er" NOLOGIN;
CREATE ROLE writer LOGIN IN ROLE "Own er";
CREATE ROLE "Reader, ""Role""" NOLOGIN;

CREATE EXTENSION pgcrypto;
CREATE SCHEMA ext;
CREATE EXTENSION citext SCHEMA ext;
CREATE EXTENSION hstore SCHEMA ext;
CREATE EXTENSION btree_gist;
CREATE EXTENSION postgres_fdw;
CREATE SCHEMA "Zweites Schema";
CREATE SCHEMA "схема ""с кавычками""";
COMMENT ON SCHEMA "Zweites Schema" IS E'line one\nline two with ''quotes'' and \\ backslash';

CREATE TABLE public._prisma_migrations (
  id varchar(36) PRIMARY KEY, checksum varchar(64) NOT NULL, finished_at timestamptz, migration_name varchar(255) NOT NULL,
  logs text, rolled_back_at timestamptz, started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count int NOT NULL DEFAULT 0);
INSERT INTO public._prisma_migrations (id, checksum, finished_at, migration_name, rolled_back_at) VALUES
  ('1', 'a', '2026-01-01', '20260101000000_init', NULL),
  ('2', 'b', '2026-01-02', '20260102000000_users', NULL),
  ('3', 'c', '2026-01-03', '20260103000000_taken_back', '2026-01-04'),
  ('4', 'd', NULL, '20260104000000_failed', NULL);

-- Types
CREATE TYPE mood AS ENUM ('sad', 'o''k', 'très "heureux"', '');
CREATE TYPE pair AS (a int, "B b" text);
CREATE TYPE pairs AS (p pair, many pair[]);
CREATE DOMAIN positive AS numeric(12, 4) DEFAULT 1 NOT NULL CONSTRAINT "above zero" CHECK (VALUE > 0);
CREATE DOMAIN email AS ext.citext CHECK (VALUE ~ '@');
CREATE FUNCTION text_length_diff(text, text) RETURNS float8 IMMUTABLE LANGUAGE sql AS $$ SELECT (length($1) - length($2))::float8 $$;
CREATE TYPE text_range AS RANGE (subtype = text, collation = "C", subtype_diff = text_length_diff, multirange_type_name = text_ranges);
CREATE COLLATION "Zweites Schema".phone_book (provider = icu, locale = 'de-u-co-phonebk');
CREATE COLLATION insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

-- Values
CREATE TABLE every_type (
  id bigint GENERATED ALWAYS AS IDENTITY (START 10 INCREMENT 5 MINVALUE 10 CACHE 3 CYCLE) PRIMARY KEY,
  r real, d double precision, n numeric, b bytea, j json, jb jsonb, t text, c char(5), v varchar(20) COLLATE "C",
  ts timestamp, tz timestamptz, da date, ti time, tt timetz, iv interval, i4 inet, ci cidr, m macaddr, m8 macaddr8,
  bi bit(5), vb bit varying, u uuid, x xml, tv tsvector, tq tsquery, p point, po polygon, ci2 circle, mo money,
  mood mood, moods mood[], pp pairs, pos positive, mail email, ir int4range, mr nummultirange, tr text_range, trs text_ranges,
  ints int[], grid int[][], shifted int[], strings text[], h ext.hstore, "select" int, "a,b;c'd""e\f$g$ h" text,
  twice int GENERATED ALWAYS AS ("select" * 2) STORED);
INSERT INTO every_type (r, d, n, b, j, jb, t, c, v, ts, tz, da, ti, tt, iv, i4, ci, m, m8, bi, vb, u, x, tv, tq, p, po, ci2, mo,
  mood, moods, pp, pos, mail, ir, mr, tr, trs, ints, grid, shifted, strings, h, "select", "a,b;c'd""e\f$g$ h") VALUES
 ('NaN', 'Infinity', 'NaN', '\x00ff0a0d5c', '{"b": 1,  "a":2, "b": 3}', '{"b": 1, "a": [1e400, null, "\u00e9", "😀"]}',
  E'tab\t newline\n return\r backslash\\ quote'' \\. \\N dollar $$', 'ab', '', 'infinity', '-infinity', 'infinity', '24:00', '12:00+14',
  '-1 year 2 mons -3 days 04:05:06.789', '::1/64', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', B'10101', B'',
  '00000000-0000-0000-0000-000000000000', '<a b="c">&amp;<!-- d --></a>', 'a:1A fat:2B,4C', '!(a & b) | c:*', '(1e-300,-0)',
  '((0,0),(1,1),(2,0))', '<(1,2),3>', '-12.34', 'sad', ARRAY['', 'o''k', NULL]::mood[], ROW(ROW(1, 'x"y'), ARRAY[ROW(2, NULL)::pair]),
  0.0001, 'A@b.c', 'empty', '{[1,2),(3,)}', '(a,"z,\"")', '{[a,b),[c,d)}', '{}', '{{1,2},{3,4}}', '[-1:1]={1,2,3}',
  ARRAY['', 'NULL', NULL, '"', '\', '{}', ','], 'a=>NULL, "b c"=>"d\"e"', 21, '\N'),
 ('-Infinity', '-0', 'Infinity', '', 'null', 'null', '', '', 'NULL', '4713-01-01 BC', '294276-12-31 23:59:59.999999+00', '4713-01-01 BC',
  '00:00', '00:00-15:59', '0', '255.255.255.255', '::/0', NULL, NULL, B'00000', B'1', NULL, '', '', '', NULL, NULL, NULL, NULL,
  '', '{}', NULL, 99999999.9999, 'x@y', '(,)', '{}', '(,)', '{}', NULL, NULL, NULL, '{}', '', NULL, NULL),
 (1.17549435e-38, 5e-324, 1e-1000, NULL, NULL, NULL, '\.', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, -1, NULL);
CREATE TABLE wide (id int PRIMARY KEY, big text, bin bytea);
ALTER TABLE wide ALTER big SET STORAGE EXTERNAL;
INSERT INTO wide SELECT i, repeat(md5(i::text) || E'\n', 4000), decode(repeat(md5(i::text), 2000), 'hex') FROM generate_series(1, 3) AS i;
CREATE TABLE "Empty Table" (id serial PRIMARY KEY, note text DEFAULT 'it''s');
CREATE TABLE "no columns" ();
INSERT INTO "no columns" DEFAULT VALUES;
INSERT INTO "no columns" DEFAULT VALUES;
CREATE TABLE dropped_columns (a int, gone text, b int);
INSERT INTO dropped_columns VALUES (1, 'x', 2);
ALTER TABLE dropped_columns DROP gone, ADD c int DEFAULT 7 NOT NULL;
CREATE UNLOGGED TABLE unlogged_table AS SELECT i FROM generate_series(1, 10) AS i;
CREATE TABLE "схема ""с кавычками""".таблица ("Ключ" text COLLATE insensitive PRIMARY KEY, "значение 😀" jsonb);
INSERT INTO "схема ""с кавычками""".таблица VALUES ('ключ', '{"é": "\u0001"}'), ('"', '[]');
CREATE TABLE "Zweites Schema"."CamelCase Table" ("Id" int GENERATED BY DEFAULT AS IDENTITY, "userName" ext.citext UNIQUE NULLS NOT DISTINCT);
INSERT INTO "Zweites Schema"."CamelCase Table" ("userName") VALUES ('Ann'), (NULL);
COMMENT ON COLUMN "Zweites Schema"."CamelCase Table"."userName" IS 'a column''s comment';

-- Partitions and inheritance
CREATE TABLE events (id bigint, at timestamptz NOT NULL, kind text NOT NULL, PRIMARY KEY (id, at, kind)) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01+00') TO ('2026-01-01+00') PARTITION BY LIST (kind);
CREATE TABLE events_2025_a PARTITION OF events_2025 FOR VALUES IN ('a');
CREATE TABLE events_2025_rest PARTITION OF events_2025 DEFAULT;
CREATE TABLE "Zweites Schema".events_2026 (kind text NOT NULL, extra int, at timestamptz NOT NULL, id bigint NOT NULL);
ALTER TABLE "Zweites Schema".events_2026 DROP extra;
ALTER TABLE events ATTACH PARTITION "Zweites Schema".events_2026 FOR VALUES FROM ('2026-01-01+00') TO (MAXVALUE);
CREATE TABLE events_old PARTITION OF events DEFAULT;
CREATE INDEX ON events (kind, at DESC NULLS LAST);
INSERT INTO events SELECT i, timestamptz '2024-12-01+00' + i * interval '1 day', (ARRAY['a', 'b', 'c'])[1 + i % 3] FROM generate_series(1, 500) AS i;
CREATE TABLE hashed (id int PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO hashed SELECT generate_series(1, 100);
CREATE TABLE parent (id int, name text DEFAULT 'parent', CHECK (id > 0));
CREATE TABLE other_parent (name text, born date);
CREATE TABLE child (name text DEFAULT 'child', toy text) INHERITS (parent, other_parent);
INSERT INTO parent VALUES (1);
INSERT INTO child (id, born, toy) VALUES (2, '2020-02-29', 'car');

-- Keys in a cycle, constraints, indexes
CREATE TABLE team (id int PRIMARY KEY, leader int NOT NULL);
CREATE TABLE member (id int PRIMARY KEY, team int NOT NULL REFERENCES team DEFERRABLE INITIALLY DEFERRED, boss int REFERENCES member,
  room text, during tstzrange, EXCLUDE USING gist (room WITH =, during WITH &&) WHERE (room IS NOT NULL));
BEGIN;
INSERT INTO team SELECT i, i FROM generate_series(1, 50) AS i;
INSERT INTO member SELECT i, 51 - i, nullif(i % 7, 0), 'r' || i, tstzrange('2026-01-01', NULL) FROM generate_series(1, 50) AS i;
ALTER TABLE team ADD CONSTRAINT led FOREIGN KEY (leader) REFERENCES member ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
COMMIT;
CREATE TABLE orphans (team int);
INSERT INTO orphans VALUES (999);
ALTER TABLE orphans ADD FOREIGN KEY (team) REFERENCES team NOT VALID;
CREATE UNIQUE INDEX ON member (lower(room), (id % 10)) INCLUDE (team) WHERE id > 5;
CREATE INDEX ON every_type USING gin (jb jsonb_path_ops);
CREATE STATISTICS member_stats (ndistinct, dependencies) ON team, boss FROM member;
ALTER TABLE member CLUSTER ON member_pkey;
ALTER TABLE member REPLICA IDENTITY FULL;
CREATE SEQUENCE "Zweites Schema"."Odd Sequence" AS smallint INCREMENT -3 MAXVALUE 100 START 99 CYCLE;
SELECT nextval('"Zweites Schema"."Odd Sequence"'), nextval('"Zweites Schema"."Odd Sequence"');

-- Functions, triggers, views, rules
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  RAISE NOTICE '$$ and %', NEW; -- a comment; with a semicolon
  NEW.c := NEW.c + 1;
  RETURN NEW;
END $body$;
CREATE TRIGGER "Touch It" BEFORE INSERT OR UPDATE OF a ON dropped_columns FOR EACH ROW WHEN (NEW.a > 1) EXECUTE FUNCTION touch();
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON dropped_columns DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE dropped_columns DISABLE TRIGGER later;
ALTER TABLE dropped_columns ENABLE ALWAYS TRIGGER "Touch It";
CREATE FUNCTION note_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; END $$;
CREATE EVENT TRIGGER noted ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION note_ddl();
CREATE PROCEDURE swap_names(INOUT a text, INOUT b text) LANGUAGE sql BEGIN ATOMIC SELECT b, a; END;
CREATE FUNCTION "Zweites Schema"."sum all"(VARIADIC xs numeric[] DEFAULT '{}') RETURNS numeric STRICT PARALLEL SAFE COST 7
  LANGUAGE sql IMMUTABLE SET search_path = 'Zweites Schema', public RETURN (SELECT sum(x) FROM unnest(xs) AS x);
CREATE AGGREGATE product(float8) (SFUNC = float8mul, STYPE = float8, INITCOND = '1');
CREATE OPERATOR === (FUNCTION = texteq, LEFTARG = text, RIGHTARG = text, COMMUTATOR = ===);
CREATE FUNCTION pair_to_int(pair) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1.a';
CREATE CAST (pair AS int) WITH FUNCTION pair_to_int(pair) AS ASSIGNMENT;
CREATE VIEW barrier WITH (security_barrier, check_option = 'cascaded') AS SELECT id, twice FROM every_type WHERE id > 0;
CREATE RECURSIVE VIEW bosses (id, depth) AS SELECT id, 0 FROM member WHERE boss IS NULL
  UNION ALL SELECT m.id, b.depth + 1 FROM member m JOIN bosses b ON m.boss = b.id WHERE b.depth < 5;
CREATE VIEW by_key AS SELECT id, big FROM wide GROUP BY id;
CREATE VIEW circle AS SELECT 1 AS one, 2 AS two;
CREATE FUNCTION one_of(circle) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1.one; END';
CREATE OR REPLACE VIEW circle AS SELECT 1 AS one, 2 AS two WHERE one_of(NULL) IS NULL;
CREATE MATERIALIZED VIEW kinds AS SELECT kind, count(*) AS n FROM events GROUP BY kind;
CREATE UNIQUE INDEX ON kinds (kind);
CREATE MATERIALIZED VIEW kinds_of_kinds AS SELECT sum(n) AS all_of_them FROM kinds;
CREATE MATERIALIZED VIEW never_filled AS SELECT 1 / 0 AS boom WITH NO DATA;
CREATE RULE no_delete AS ON DELETE TO parent DO INSTEAD NOTHING;

-- Row security: a restore that is held to it would leave rows out
CREATE TABLE secrets (owner name, secret text);
INSERT INTO secrets VALUES ('postgres', 'mine'), ('somebody', 'theirs');
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON secrets AS PERMISSIVE FOR ALL TO "Reader, ""Role""" USING (owner = current_user) WITH CHECK (owner = current_user);
CREATE POLICY never ON secrets AS RESTRICTIVE FOR DELETE TO PUBLIC USING (false);

-- What is not a table
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', dbname 'it''s');
CREATE FOREIGN TABLE far_away (id int OPTIONS (column_name 'ID')) SERVER elsewhere OPTIONS (table_name 'x');
CREATE PUBLICATION changes FOR TABLE team, member WHERE (id > 3), TABLES IN SCHEMA "Zweites Schema";
CREATE TEXT SEARCH CONFIGURATION german_plain (COPY = german);
ALTER TEXT SEARCH CONFIGURATION german_plain ALTER MAPPING FOR asciiword WITH simple;
SELECT lo_from_bytea(4711, '\x00010203ff'), lo_from_bytea(4712, ''),
  lo_from_bytea(4713, decode(repeat('0123456789abcdef', 30000), 'hex'));
COMMENT ON LARGE OBJECT 4711 IS 'a large object''s comment';
COMMENT ON FUNCTION touch() IS 'a function''s comment';

COMMENT ON EXTENSION citext IS 'an extension''s comment';
COMMENT ON TYPE mood IS 'a type''s';
COMMENT ON TYPE pairs IS 'a composite type''s';
COMMENT ON DOMAIN positive IS 'a domain''s';
COMMENT ON CONSTRAINT "above zero" ON DOMAIN positive IS 'a domain''s constraint''s';
COMMENT ON COLLATION insensitive IS 'a collation''s';
COMMENT ON TABLE "схема ""с кавычками""".таблица IS 'комментарий';
COMMENT ON INDEX kinds_kind_idx IS 'an index''s';
COMMENT ON CONSTRAINT led ON team IS 'a key''s';
COMMENT ON STATISTICS member_stats IS 'statistics''';
COMMENT ON SEQUENCE "Zweites Schema"."Odd Sequence" IS 'a sequence''s';
COMMENT ON TRIGGER "Touch It" ON dropped_columns IS 'a trigger''s';
COMMENT ON EVENT TRIGGER noted IS 'an event trigger''s';
COMMENT ON PROCEDURE swap_names(text, text) IS 'a procedure''s';
COMMENT ON AGGREGATE product(float8) IS 'an aggregate''s';
COMMENT ON OPERATOR === (text, text) IS 'an operator''s';
COMMENT ON CAST (pair AS int) IS 'a cast''s';
COMMENT ON VIEW barrier IS 'a view''s';
COMMENT ON COLUMN barrier.twice IS 'a view''s column''s';
COMMENT ON MATERIALIZED VIEW kinds IS 'a materialized view''s';
COMMENT ON RULE no_delete ON parent IS 'a rule''s';
COMMENT ON POLICY own ON secrets IS 'a policy''s';
COMMENT ON SERVER elsewhere IS 'a server''s';
COMMENT ON FOREIGN TABLE far_away IS 'a foreign table''s';
COMMENT ON PUBLICATION changes IS 'a publication''s';
COMMENT ON TEXT SEARCH CONFIGURATION german_plain IS 'a configuration''s';

-- Owners, and who may do what
CREATE FUNCTION as_its_owner() RETURNS name SECURITY DEFINER LANGUAGE sql AS 'SELECT current_user';
CREATE USER MAPPING FOR writer SERVER elsewhere OPTIONS (user 'it''s me', password '\ ''');
GRANT CREATE ON SCHEMA public, "Zweites Schema" TO "Own er" WITH GRANT OPTION;
GRANT USAGE ON FOREIGN SERVER elsewhere TO PUBLIC;
REVOKE USAGE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO writer, "Reader, ""Role""";
ALTER SCHEMA "схема ""с кавычками""" OWNER TO writer;
ALTER TABLE "схема ""с кавычками""".таблица OWNER TO "Own er";
ALTER TABLE wide OWNER TO writer;
ALTER TABLE "Empty Table" OWNER TO writer;
ALTER TABLE hashed OWNER TO writer;
ALTER TABLE far_away OWNER TO writer;
ALTER VIEW by_key OWNER TO writer;
ALTER MATERIALIZED VIEW kinds_of_kinds OWNER TO "Own er";
ALTER SEQUENCE "Zweites Schema"."Odd Sequence" OWNER TO writer;
ALTER FUNCTION as_its_owner() OWNER TO writer;
ALTER PROCEDURE swap_names(text, text) OWNER TO "Own er";
ALTER AGGREGATE product(float8) OWNER TO writer;
ALTER TYPE mood OWNER TO writer;
ALTER TYPE pair OWNER TO writer;
ALTER DOMAIN positive OWNER TO "Own er";
ALTER COLLATION insensitive OWNER TO writer;
ALTER OPERATOR === (text, text) OWNER TO writer;
ALTER STATISTICS member_stats OWNER TO writer;
ALTER TEXT SEARCH CONFIGURATION german_plain OWNER TO writer;
ALTER LARGE OBJECT 4712 OWNER TO writer;
GRANT SELECT, INSERT ON team TO writer WITH GRANT OPTION;
GRANT SELECT (id, boss), UPDATE (room) ON member TO "Reader, ""Role""";
GRANT SELECT ON barrier, kinds, "Zweites Schema"."CamelCase Table" TO "Reader, ""Role""", PUBLIC;
GRANT ALL ON wide TO "Own er";
REVOKE DELETE, TRUNCATE ON wide FROM writer;
GRANT USAGE ON SEQUENCE "Zweites Schema"."Odd Sequence" TO "Reader, ""Role""";
REVOKE EXECUTE ON FUNCTION touch(), as_its_owner() FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE swap_names(text, text) TO "Reader, ""Role""";
REVOKE USAGE ON TYPE mood FROM PUBLIC;
GRANT USAGE ON TYPE positive TO writer;
GRANT SELECT ON LARGE OBJECT 4711 TO writer;
ALTER DEFAULT PRIVILEGES FOR ROLE "Own er" IN SCHEMA public GRANT SELECT ON TABLES TO "Reader, ""Role""";
ALTER DEFAULT PRIVILEGES FOR ROLE writer REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT USAGE ON SEQUENCES TO writer;
