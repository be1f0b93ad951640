-- Types upon types: domain over composite over range over multirange, and arrays of each.
CREATE TYPE float_range AS RANGE (subtype = float8, subtype_diff = float8mi, multirange_type_name = float_ranges);
CREATE DOMAIN some_ranges AS float_ranges CHECK (NOT isempty(VALUE));
CREATE TYPE measured AS (at timestamptz, within float_range, parts some_ranges, notes text[] COLLATE "C");
CREATE DOMAIN checked AS measured CONSTRAINT "has a time" CHECK ((VALUE).at IS NOT NULL) CHECK ((VALUE).within <> 'empty');
CREATE DOMAIN stricter AS checked NOT NULL DEFAULT ROW('2026-01-01 00:00+00', '[1,2)', '{[1,2)}', '{}')::measured;
CREATE TYPE nested AS (one checked, many checked[], deep measured);
CREATE DOMAIN list_of AS nested[] CHECK (array_length(VALUE, 1) < 3);
CREATE TABLE uses (c checked, s stricter, n nested, l list_of, r float_range, rs float_ranges, sr some_ranges[]);
INSERT INTO uses (c, n, l, r, rs, sr) VALUES
  (ROW('2026-02-03 04:05+00', '[1.5,)', '{[1,2),(3,4]}', ARRAY['a,b', '"', NULL, '']), NULL, '{}', '(,)', '{}', NULL),
  (ROW('-infinity', NULL, NULL, NULL), ROW(ROW('infinity', NULL, NULL, NULL)::checked, ARRAY[ROW('infinity', '(,-0)', '{(,)}', NULL)::checked], NULL), ARRAY[NULL, ROW(ROW('-infinity', NULL, NULL, '{}'), '{}', NULL)]::nested[], '[-Infinity,NaN]', '{[1e-300,1e300]}', '{"{[1,2)}",NULL}');
CREATE DOMAIN base AS varchar(20) COLLATE "C" DEFAULT 'base' CHECK (VALUE ~ '^[a-z]+$');
CREATE DOMAIN on_top AS base CHECK (length(VALUE) > 1);
CREATE TABLE of_domains (a on_top, b base[] DEFAULT '{x}', c on_top DEFAULT 'own');
INSERT INTO of_domains VALUES ('ab', '{abc,d}');
INSERT INTO of_domains DEFAULT VALUES;
ALTER DOMAIN on_top ADD CONSTRAINT later CHECK (VALUE <> 'ab') NOT VALID;
CREATE TYPE steps AS ENUM ('b', 'a');
ALTER TYPE steps ADD VALUE 'first' BEFORE 'b';
ALTER TYPE steps ADD VALUE 'between' AFTER 'b';
ALTER TYPE steps RENAME VALUE 'a' TO 'last "one"';
CREATE TYPE no_values AS ENUM ();
CREATE TABLE stepped (s steps PRIMARY KEY, ss steps[], r int4range, CHECK (s < 'last "one"' OR s = 'last "one"'));
INSERT INTO stepped VALUES ('first', '{"last \"one\"",between}'), ('last "one"', '{}');
CREATE TYPE step_range AS RANGE (subtype = steps);
CREATE TABLE of_steps (r step_range, m stepped, ms stepped[]);
INSERT INTO of_steps VALUES ('[first,between)', ROW('b', NULL, 'empty')::stepped, ARRAY[ROW('b', NULL, '[1,5)')::stepped]);
CREATE TYPE empty_one AS ();
CREATE TABLE has_empty (e empty_one, i int);
INSERT INTO has_empty VALUES (ROW(), 1), (NULL, 2);
CREATE TYPE lost_part AS (a int, b text, c int);
ALTER TYPE lost_part DROP ATTRIBUTE b;
CREATE TABLE of_lost (l lost_part);
INSERT INTO of_lost VALUES (ROW(1, 2));
CREATE COLLATION names_of (provider = icu, locale = 'sv-u-co-standard');
CREATE TYPE named_range AS RANGE (subtype = text, subtype_opclass = text_pattern_ops, collation = "C", multirange_type_name = "Many ""named""");
CREATE DOMAIN sv AS text COLLATE names_of;
CREATE TABLE collated (s sv, n named_range, m "Many ""named""", x text COLLATE "POSIX", y text COLLATE "en-x-icu", z char(3) COLLATE "ucs_basic");
INSERT INTO collated VALUES ('å', '[a,z)', '{[a,b),[c,d)}', 'x', 'y', 'z');
CREATE INDEX ON collated (s, y COLLATE "C" DESC, x COLLATE names_of);
-- A type that a function takes which a type's check calls.
CREATE TYPE looped AS (a int);
CREATE FUNCTION is_fine(looped) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1.a > 0; END';
CREATE DOMAIN fine AS looped CHECK (public.is_fine(VALUE));
CREATE TABLE of_fine (f fine);
INSERT INTO of_fine VALUES (ROW(1));
-- Only a superuser:
CREATE TYPE unfinished;
