-- Functions and procedures in every form, and bodies that look like something else.
CREATE SCHEMA app;
CREATE TABLE app.items (id int PRIMARY KEY, name text);
INSERT INTO app.items VALUES (1, 'x');
CREATE FUNCTION settings() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED COST 3.5 SET search_path = app, "$user", "Odd, ""path""", '' SET work_mem = '7MB' SET TimeZone = 'Europe/Paris' SET statement_timeout FROM CURRENT AS $$ SELECT name FROM items $$;
CREATE FUNCTION set_returning(n int, OUT a int, OUT "B b" text) RETURNS SETOF record ROWS 17 LANGUAGE plpgsql AS $a$ BEGIN RETURN QUERY SELECT 1, $b$ nested $$ dollars $$ $b$::text; END $a$;
CREATE FUNCTION bodies() RETURNS text LANGUAGE plpgsql AS E'BEGIN RETURN \'\n\\.\n\\connect postgres\n\\! touch /tmp/x\nCOPY app.items (id) FROM stdin;\n1\tx\n\\.\n--\n-- PostgreSQL database dump complete\n--\n\\unrestrict abc\nALTER TABLE x OWNER TO nobody;\n\'; END';
CREATE FUNCTION line_ends() RETURNS text LANGUAGE plpgsql AS E'BEGIN\r\n  RETURN \'a\r\nb\rc\u2028\u00a0\x7f\x01\';\r\nEND\r\n';
CREATE FUNCTION quotes(text = 'a''b', text = E'\\''\n$$', VARIADIC rest text[] = ARRAY['{', NULL, '"']) RETURNS text LANGUAGE sql AS $_$ SELECT '$$' || $1 || $x$ ' $x$ || E'\'' || $body$ ; -- $body$ $_$;
CREATE FUNCTION tagged() RETURNS text LANGUAGE sql AS $outer$ SELECT $_$ $__$ $___$ $$ $1 $function$ $__$ $_$::text $outer$;
CREATE FUNCTION empty_body() RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION blank() RETURNS void LANGUAGE sql AS ' ';
CREATE FUNCTION atomic(i int, OUT s text) LANGUAGE sql BEGIN ATOMIC SELECT name FROM app.items WHERE id = i; SELECT name || CASE WHEN i > 0 THEN ';' ELSE 'END' END FROM app.items; END;
CREATE FUNCTION returned(a int, b int = 2) RETURNS int IMMUTABLE LANGUAGE sql RETURN a + b * $1;
CREATE PROCEDURE changes(INOUT n int, IN "from" text DEFAULT 'x', VARIADIC more int[] = '{}') LANGUAGE sql BEGIN ATOMIC INSERT INTO app.items VALUES (n, "from") ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE items.id > 0; UPDATE app.items SET name = upper(i.name) FROM app.items AS i WHERE i.id = items.id; DELETE FROM app.items WHERE id = 99; SELECT 1; END;
CREATE PROCEDURE outs(OUT a int, INOUT b text, c int = 1) LANGUAGE plpgsql AS $$ BEGIN a := c; COMMIT; END $$;
CREATE PROCEDURE outs(int) LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
CREATE FUNCTION poly(anyelement, anyarray, anycompatible, OUT x anyelement) IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION overloaded(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION overloaded(bigint, VARIADIC text[]) RETURNS int LANGUAGE sql AS 'SELECT 2';
CREATE FUNCTION overloaded(app.items) RETURNS app.items LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION overloaded() RETURNS TABLE (id int, "Name" text) LANGUAGE sql AS 'SELECT * FROM app.items';
CREATE FUNCTION app."current_user"() RETURNS name LANGUAGE sql AS 'SELECT current_user';
CREATE FUNCTION types(a timestamp(3) with time zone, b numeric(5, 2), c char(3), d varchar(7)[], e interval day to second(2), f bit(3), g "char", h app.items[]) RETURNS numeric(9, 4) STRICT LANGUAGE sql AS 'SELECT 1.0';
-- A function of a table that a column's default and an index use, and one whose body needs a view that needs it.
CREATE FUNCTION app.next_name() RETURNS text LANGUAGE plpgsql SET search_path = app AS $$ BEGIN RETURN (SELECT 'n' || count(*) FROM items); END $$;
ALTER TABLE app.items ALTER name SET DEFAULT app.next_name();
INSERT INTO app.items VALUES (2);
CREATE FUNCTION app.simple(t text) RETURNS text IMMUTABLE LANGUAGE sql RETURN replace(t, ' ', '-');
CREATE FUNCTION app.slug(t text) RETURNS text IMMUTABLE LANGUAGE sql SET search_path = app, public AS $$ SELECT lower(simple(t)) $$;

CREATE UNIQUE INDEX by_slug ON app.items (app.slug(name));
ALTER TABLE app.items ADD CHECK (app.slug(name) <> 'none'), ADD slugged text GENERATED ALWAYS AS (app.slug(name)) STORED;
CREATE MATERIALIZED VIEW app.slugs AS SELECT app.slug(name) AS s, app.next_name() AS n FROM app.items;
-- Functions that call unqualified names, which nothing calls while a dump is loaded.
CREATE FUNCTION unqualified(text) RETURNS text STABLE LANGUAGE sql AS 'SELECT app.simple(returned(1)::text || $1)';
CREATE FUNCTION unqualified_too() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM returned(1); NEW.name := unqualified(NEW.name); RETURN NEW; END';
CREATE TRIGGER u BEFORE INSERT ON app.items FOR EACH ROW EXECUTE FUNCTION unqualified_too();
CREATE VIEW by_unqualified AS SELECT unqualified(name) AS u FROM app.items;
CREATE FUNCTION of_view() RETURNS SETOF by_unqualified LANGUAGE sql BEGIN ATOMIC SELECT * FROM by_unqualified; END;
CREATE FUNCTION missing_things() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT x FROM not_there); END';
SET check_function_bodies = off;
CREATE FUNCTION broken() RETURNS int LANGUAGE sql AS 'SELECT nothing FROM nowhere';
CREATE FUNCTION not_even() RETURNS int LANGUAGE plpgsql AS 'BEGIN this is no program';
RESET check_function_bodies;
CREATE FUNCTION on_row(app.items) RETURNS text STABLE LANGUAGE sql BEGIN ATOMIC SELECT ($1).name || count(*)::text FROM app.slugs; END;
COMMENT ON FUNCTION settings() IS E'with \\. and ''quotes''\n\\.\n';
COMMENT ON PROCEDURE outs(int) IS 'of the second';
COMMENT ON FUNCTION overloaded(bigint, text[]) IS '';
-- Only a superuser:
CREATE FUNCTION "in C"(int, int) RETURNS int STRICT LANGUAGE internal WINDOW AS 'window_ntile';
CREATE FUNCTION with_support(int) RETURNS SETOF int LANGUAGE sql SUPPORT generate_series_int4_support AS 'SELECT 1';
CREATE FUNCTION of_library(text, text) RETURNS int STRICT LANGUAGE c AS '$libdir/fuzzystrmatch', 'levenshtein';
CREATE FUNCTION sets_superuser() RETURNS int LANGUAGE sql SET session_replication_role = 'replica'  SET "my.own" = 'it''s "a", b' SET log_min_duration_statement = '5s' AS 'SELECT 1';
