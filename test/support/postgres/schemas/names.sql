-- Names that need their quotes, in every place where a dump writes one.
CREATE SCHEMA "select";
CREATE SCHEMA " ";
CREATE SCHEMA "a.b ""c""";
CREATE SCHEMA "line
break";
CREATE TABLE "select"."from" ("where" int PRIMARY KEY, "order by" text DEFAULT 'it''s', "a"".""b" int CHECK ("a"".""b" > 0));
INSERT INTO "select"."from" VALUES (1, 'x', 2);
CREATE TABLE " "."Ünïcödé 😀 таблица" ("ключ" serial PRIMARY KEY, "%s $1 {0} \n" text UNIQUE);
INSERT INTO " "."Ünïcödé 😀 таблица" ("%s $1 {0} \n") VALUES ('a'), ('b');
CREATE TABLE "a.b ""c"""."--" ("/* */" int, "; DROP TABLE x; --" int, " lead" int, "trail " int, "$$" text, "'" text, "\" text);
INSERT INTO "a.b ""c"""."--" VALUES (1, 2, 3, 4, '$$', '''', '\');
CREATE TABLE "line
break"."two
lines" ("c
d" int, "tab	" int);
INSERT INTO "line
break"."two
lines" VALUES (1, 2);
-- 63 bytes, which is the most; the second only differs in the last byte.
CREATE TABLE n2345678901234567890123456789012345678901234567890123456789012a (i2345678901234567890123456789012345678901234567890123456789012 int PRIMARY KEY);
CREATE TABLE n2345678901234567890123456789012345678901234567890123456789012b (i2345678901234567890123456789012345678901234567890123456789012 int PRIMARY KEY);
CREATE TABLE "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüä" (id serial, "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüä" int GENERATED ALWAYS AS IDENTITY);
INSERT INTO "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüä" VALUES (DEFAULT, DEFAULT);
-- One name for everything that may share it.
CREATE TYPE "user" AS ENUM ('select', 'from', 'a,b', ' ', '"', '{}');
CREATE TABLE "table" ("user" "user" DEFAULT ' ', "table" "user"[] DEFAULT '{"a,b"," "}', CONSTRAINT "table" CHECK ("user" <> '"'));
INSERT INTO "table" DEFAULT VALUES;
CREATE INDEX "i on t" ON "table" ("user");
CREATE SEQUENCE "seq ""x"" 1" OWNED BY "table"."user";
CREATE FUNCTION "table"("user" "user" = 'from', "out" OUT int) LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION "f(int)"("select"."from") RETURNS int LANGUAGE sql AS 'SELECT $1."where"';
CREATE FUNCTION "t on x"() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER "t on ""x"" for" BEFORE INSERT ON "table" FOR EACH ROW EXECUTE FUNCTION "t on x"('a''b', '\', '$$', '"');
CREATE RULE "rule of ""x""" AS ON DELETE TO "table" DO INSTEAD NOTHING;
CREATE POLICY "policy on x" ON "table" USING ("user" IS NOT NULL);
CREATE VIEW "view of ""x""" AS SELECT "table"."user" AS "User", "table".* FROM "table";
CREATE MATERIALIZED VIEW "Mat View" AS SELECT "where" AS "WHERE" FROM "select"."from";
CREATE UNIQUE INDEX "Mat Index" ON "Mat View" ("WHERE");
CREATE STATISTICS "stat on x" ON "user", "table" FROM "table";
CREATE DOMAIN "a.b ""c"""."Domain of" AS text CONSTRAINT "check on x" CHECK (VALUE <> '');
CREATE COLLATION "select"."Coll ation" (provider = icu, locale = 'de-DE');
CREATE OPERATOR " ".<+> (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int);
CREATE AGGREGATE "Agg ""r"""(int) (SFUNC = int4pl, STYPE = int);
CREATE TEXT SEARCH CONFIGURATION "Conf ig" (COPY = simple);
ALTER TABLE "select"."from" ADD CONSTRAINT "key on ""x"" for" UNIQUE ("order by");
CREATE TABLE child ("order by" text REFERENCES "select"."from" ("order by") ON DELETE SET DEFAULT);
ALTER TABLE "select"."from" CLUSTER ON "key on ""x"" for";
ALTER TABLE child REPLICA IDENTITY FULL;
COMMENT ON TABLE "a.b ""c"""."--" IS '--';
COMMENT ON COLUMN "a.b ""c"""."--"."; DROP TABLE x; --" IS E'*/ \\ ''; $$ \n\\.\n';
COMMENT ON CONSTRAINT "key on ""x"" for" ON "select"."from" IS 'on a on b';
COMMENT ON TRIGGER "t on ""x"" for" ON "table" IS 'on';
COMMENT ON POLICY "policy on x" ON "table" IS 'of';
COMMENT ON RULE "rule of ""x""" ON "table" IS 'of';
