-- What came with 16 and 17.
CREATE COLLATION ruled (provider = icu, locale = 'und', rules = '&a < g');
CREATE COLLATION built_in (provider = builtin, locale = 'C.UTF-8');
CREATE TABLE parted (id int GENERATED ALWAYS AS IDENTITY (START 5), during int4range) PARTITION BY RANGE (during);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('empty') TO ('[100,200)');
INSERT INTO parted (during) VALUES ('[1,2)'), ('[3,4)');
GRANT MAINTAIN ON parted TO reader WITH GRANT OPTION;
CREATE VIEW of_json AS SELECT j.* FROM JSON_TABLE('[{"a": 1}]', '$[*]' COLUMNS (n FOR ORDINALITY, a int PATH '$.a' DEFAULT 7 ON EMPTY, NESTED PATH '$.b[*]' COLUMNS (b text PATH '$'))) AS j;
CREATE VIEW of_values AS SELECT JSON_VALUE('{"a": 1}', '$.a' RETURNING int) AS a, '1' IS JSON SCALAR AS s, ANY_VALUE(x) AS x FROM generate_series(1, 2) AS x;
CREATE FUNCTION merged() RETURNS SETOF int LANGUAGE sql BEGIN ATOMIC
  MERGE INTO parted p USING generate_series(1, 2) AS s ON p.id = s WHEN MATCHED THEN DELETE WHEN NOT MATCHED BY SOURCE THEN DO NOTHING RETURNING p.id; END;
CREATE TABLE stored (t text STORAGE EXTERNAL COMPRESSION pglz);
-- Only a superuser:
CREATE TABLE logins (who name, app text);
-- It must not run in a copy that a restore makes: its rows would be more than those of the backup.
CREATE FUNCTION note_login() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
  IF current_database() <> 'app' THEN INSERT INTO public.logins VALUES (session_user, current_setting('application_name')); END IF; END $$;
CREATE EVENT TRIGGER each_login ON login EXECUTE FUNCTION note_login();
ALTER EVENT TRIGGER each_login ENABLE ALWAYS;
