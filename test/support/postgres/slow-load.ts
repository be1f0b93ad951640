/** A database whose every load hangs in the server, in one of its last statements, while a role is there. */

/** Statements that make it: table `item` with column `i` gets an index. Then {@link SLOW} makes its loads hang. */
export const SLOW_LOAD = `
  CREATE FUNCTION slow(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'slow_loads') THEN
      PERFORM pg_catalog.pg_sleep(600);
    END IF;
    RETURN i;
  END $$;
  CREATE INDEX slow ON item (slow(i))`;
export const SLOW = 'CREATE ROLE slow_loads';
export const NOT_SLOW = 'DROP ROLE slow_loads';
