-- Inheritance: defaults that differ, columns that merge, checks that are not inherited.
CREATE TABLE top (id int NOT NULL DEFAULT 1, name text DEFAULT 'top', late text DEFAULT 'late' NOT NULL, twice int GENERATED ALWAYS AS (id * 2) STORED, CHECK (id > 0), CONSTRAINT own CHECK (name <> 'x') NO INHERIT);
CREATE TABLE side (name text CHECK (name <> 'nobody'), born date DEFAULT '2020-02-29');
CREATE TABLE below (id int DEFAULT 2, toy text) INHERITS (top, side);
CREATE TABLE lowest (name text DEFAULT 'lowest', CONSTRAINT local CHECK (toy IS NOT NULL)) INHERITS (below);
ALTER TABLE ONLY below ALTER name SET DEFAULT 'below';
ALTER TABLE ONLY below ALTER born DROP DEFAULT;
ALTER TABLE lowest ALTER born SET NOT NULL;
ALTER TABLE lowest ALTER late DROP DEFAULT;
ALTER TABLE top ADD CONSTRAINT later CHECK (late <> '') NOT VALID;
-- Made apart and joined; and left again, with the columns that it got.
CREATE TABLE joined (id int NOT NULL, name text, late text DEFAULT 'joined' NOT NULL, twice int GENERATED ALWAYS AS (id * 2) STORED, extra int,
  CONSTRAINT top_id_check CHECK (id > 0), CONSTRAINT later CHECK (late <> ''));
ALTER TABLE joined INHERIT top;
CREATE TABLE "left" (note text) INHERITS (top);
ALTER TABLE "left" NO INHERIT top;
ALTER TABLE ONLY side DROP COLUMN born;
INSERT INTO top (id) VALUES (1), (2);
INSERT INTO side VALUES ('s');
INSERT INTO below (toy) VALUES ('car');
INSERT INTO lowest (born, toy, late) VALUES ('2021-01-01', 'doll', 'z');
INSERT INTO joined (id) VALUES (5);
INSERT INTO "left" (note) VALUES ('n');
-- Several levels with keys, indexes, triggers and rules of their own.
CREATE TABLE a (i int PRIMARY KEY);
CREATE TABLE b (j int UNIQUE) INHERITS (a);
CREATE TABLE c (k int REFERENCES b (j)) INHERITS (a);
CREATE TABLE d (l int) INHERITS (b, c);
ALTER TABLE d ADD PRIMARY KEY (i);
INSERT INTO a VALUES (1);
INSERT INTO b VALUES (1, 2);
INSERT INTO c VALUES (1, 2);
INSERT INTO d VALUES (1, 3, 2, 4);
CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER noop AFTER DELETE ON b FOR EACH ROW EXECUTE FUNCTION noop();
CREATE RULE quiet AS ON UPDATE TO c DO ALSO NOTHING;
-- Columns that are the parent's in name only, after the parent's was dropped or renamed.
CREATE TABLE p (x int, z int, y int);
CREATE TABLE q (y int) INHERITS (p);
ALTER TABLE p DROP COLUMN y;
ALTER TABLE p RENAME COLUMN z TO zz;
INSERT INTO q (x, zz, y) VALUES (1, 2, 3);
CREATE TYPE shape AS (n int, t text);
CREATE TABLE typed OF shape (n WITH OPTIONS UNIQUE, t DEFAULT 'typed' CHECK (t <> ''));
INSERT INTO typed VALUES (1);
ALTER TYPE shape ADD ATTRIBUTE f float8 CASCADE;
CREATE TABLE likeness (LIKE top INCLUDING ALL, LIKE typed INCLUDING DEFAULTS);
