/** Migrations for the differential test, on the schema of old-release.ts. */

export interface Example {
  sql: string;
  /** What the new release then does with what is new. */
  use?: string;
  /** It can't run in a transaction; `undo` removes what it made. */
  alone?: { undo?: string };
}

const NEW =
  'CREATE TABLE plans (id int PRIMARY KEY, name text, user_id int, made timestamptz DEFAULT now());';
const ACTIONS = 'ON DELETE SET NULL ON UPDATE CASCADE';

/** Judged harmless. Each form that the judge lets through has one. */
export const HARMLESS: (string | Example)[] = [
  // Columns.
  { sql: 'ALTER TABLE users ADD COLUMN nickname text', use: "UPDATE users SET nickname = 'nick'" },
  'ALTER TABLE "public"."users" ADD COLUMN "a" TEXT, ADD COLUMN "b" INTEGER NOT NULL DEFAULT 0',
  "ALTER TABLE users ADD COLUMN state text NOT NULL DEFAULT 'new'",
  "ALTER TABLE users ADD COLUMN before mood NOT NULL DEFAULT 'ok'::mood, ADD COLUMN list text[] NOT NULL DEFAULT ARRAY[]::text[]",
  'ALTER TABLE users ADD COLUMN seen_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP, ADD COLUMN at timestamptz DEFAULT now()',
  'ALTER TABLE users ADD COLUMN key uuid NOT NULL DEFAULT gen_random_uuid()',
  'ALTER TABLE orders ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY',
  'ALTER TABLE users ADD COLUMN lower_email text GENERATED ALWAYS AS (lower(email)) STORED',
  { sql: 'ALTER TABLE users ADD COLUMN handle text UNIQUE', use: "UPDATE users SET handle = 'h' || id" },
  'ALTER TABLE users ADD COLUMN IF NOT EXISTS nickname text',
  {
    sql: `ALTER TABLE users ADD COLUMN team_id int REFERENCES teams (id) ${ACTIONS}`,
    use: 'UPDATE users SET team_id = 7; UPDATE users SET team_id = 8 WHERE id = 1',
  },
  {
    sql: `ALTER TABLE "users" ADD COLUMN "teamId" INTEGER;
      ALTER TABLE "users" ADD CONSTRAINT "users_teamId_fkey" FOREIGN KEY ("teamId") REFERENCES "teams"("id") ${ACTIONS}`,
    use: 'UPDATE users SET "teamId" = 7; UPDATE users SET "teamId" = 8 WHERE id = 1',
  },
  {
    sql: `ALTER TABLE users ADD COLUMN boss int; ALTER TABLE users ADD CONSTRAINT boss FOREIGN KEY (boss)
      REFERENCES users (id) ON DELETE SET NULL ON UPDATE SET NULL NOT VALID; ALTER TABLE users VALIDATE CONSTRAINT boss`,
    use: 'UPDATE users SET boss = 1; UPDATE users SET boss = 2 WHERE id = 1',
  },
  "ALTER TABLE users ADD COLUMN nickname text; UPDATE users SET nickname = split_part(email, '@', 1) WHERE name IS NOT NULL",
  'ALTER TABLE users ADD n int; UPDATE users SET n = x.c FROM (SELECT user_id, count(*) c FROM orders GROUP BY 1) x WHERE x.user_id = id',
  'ALTER TABLE users ALTER COLUMN name SET STATISTICS 50',
  'ALTER TABLE users SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.1); ALTER TABLE users RESET (fillfactor)',
  'ALTER TABLE orders VALIDATE CONSTRAINT orders_total',
  // Indexes.
  'CREATE INDEX ON users (name, created_at DESC NULLS LAST) INCLUDE (email)',
  'CREATE INDEX "users_balance_idx" ON "users"("balance")',
  "CREATE INDEX IF NOT EXISTS i ON users (lower(email)) WHERE mood = 'ok'::mood AND name IS NOT NULL",
  'CREATE INDEX ON users USING hash (email)',
  'CREATE INDEX ON users USING gin (meta jsonb_path_ops)',
  'CREATE INDEX ON users USING gin (tags)',
  'CREATE INDEX ON orders USING brin (total)',
  { sql: 'CREATE INDEX CONCURRENTLY alone ON users (name)', alone: { undo: 'DROP INDEX alone' } },
  'CREATE INDEX new ON users (mood); DROP INDEX new',
  'CREATE STATISTICS s ON name, mood FROM users; ANALYZE users',
  { sql: 'VACUUM (ANALYZE) users', alone: {} },
  { sql: 'VACUUM FULL users', alone: {} },
  // New tables.
  { sql: NEW, use: "INSERT INTO plans VALUES (1, 'plan', 1)" },
  'CREATE TABLE IF NOT EXISTS plans (id serial PRIMARY KEY, code text UNIQUE, n int CHECK (n > 0))',
  'CREATE UNLOGGED TABLE plans (id bigint GENERATED ALWAYS AS IDENTITY, kind mood, at address, span int4range, EXCLUDE USING gist (span WITH &&))',
  'CREATE TABLE plans (id int, at date) PARTITION BY RANGE (at)',
  {
    sql: 'CREATE TABLE plans (id int PRIMARY KEY, user_id int NOT NULL REFERENCES users ON DELETE CASCADE ON UPDATE CASCADE)',
    use: 'INSERT INTO plans VALUES (1, 1), (2, 2)',
  },
  {
    sql: `CREATE TABLE plans (id serial PRIMARY KEY, stars int CHECK (stars > 0), user_id int, team_id int);
      CREATE UNIQUE INDEX plans_user ON plans (user_id);
      ALTER TABLE plans ADD CONSTRAINT a FOREIGN KEY (user_id) REFERENCES users (id) ${ACTIONS};
      ALTER TABLE plans ADD CONSTRAINT b FOREIGN KEY (team_id) REFERENCES teams (id) ${ACTIONS}`,
    use: 'INSERT INTO plans (stars, user_id, team_id) VALUES (1, 1, 7), (2, 2, 8), (3, 3, NULL)',
  },
  {
    sql: `CREATE TABLE plans (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE ON UPDATE CASCADE);
      CREATE TABLE steps (id int, plan_id int NOT NULL REFERENCES plans ON DELETE CASCADE ON UPDATE CASCADE)`,
    use: 'INSERT INTO plans VALUES (1, 1), (2, 2); INSERT INTO steps VALUES (1, 1), (2, 2)',
  },
  `${NEW} INSERT INTO plans (id, name) SELECT id, upper(name) FROM users ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name;
   UPDATE plans SET name = 'x' WHERE id = 1; DELETE FROM plans; TRUNCATE plans`,
  `${NEW} WITH gone AS (SELECT 1 AS id) INSERT INTO plans (id) SELECT id FROM gone`,
  `${NEW} ALTER TABLE plans ADD COLUMN n int NOT NULL, ADD CONSTRAINT n CHECK (n > 0), ALTER name SET NOT NULL,
    ALTER name SET DEFAULT 'x', ALTER name TYPE varchar(9) USING left(name, 9), ALTER name DROP NOT NULL,
    DROP COLUMN made, DROP CONSTRAINT plans_pkey, ADD UNIQUE (name)`,
  `${NEW} CREATE UNIQUE INDEX p ON plans (name); DROP TABLE plans`,
  'CREATE TABLE public.plans (id int); ALTER TABLE public.plans DROP COLUMN id',
  `CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM users; RETURN NEW; END $$;
   ${NEW} CREATE TRIGGER stamp BEFORE INSERT ON plans FOR EACH ROW EXECUTE FUNCTION stamp()`,
  'CREATE TABLE plans AS SELECT id, email FROM users; UPDATE plans SET email = NULL',
  'CREATE MATERIALIZED VIEW rich AS SELECT id FROM users WHERE balance > 5',
  // What else is new.
  'CREATE VIEW named AS SELECT * FROM users WHERE name IS NOT NULL; DROP VIEW named',
  'CREATE OR REPLACE VIEW named AS SELECT id FROM users',
  'CREATE SEQUENCE numbers START 5; ALTER SEQUENCE numbers RESTART 7; DROP SEQUENCE numbers',
  "CREATE TYPE size AS ENUM ('s', 'm'); ALTER TYPE size ADD VALUE 'l'; ALTER TYPE size RENAME VALUE 's' TO 'xs'; DROP TYPE size",
  'CREATE TYPE pair AS (a int, b int); CREATE DOMAIN positive AS int CHECK (VALUE > 0)',
  'CREATE FUNCTION twice(i int) RETURNS int LANGUAGE sql AS $$ SELECT i * 2 $$',
  "CREATE OR REPLACE PROCEDURE tidy() LANGUAGE sql AS 'DELETE FROM users'",
  'CREATE SCHEMA reports; CREATE TABLE reports.daily (id int); DROP TABLE reports.daily',
  'CREATE EXTENSION IF NOT EXISTS "uuid-ossp"; CREATE EXTENSION pgcrypto',
  'CREATE EXTENSION citext; CREATE EXTENSION pg_trgm',
  "COMMENT ON TABLE users IS 'people'; COMMENT ON COLUMN users.name IS NULL",
  'GRANT SELECT ON users TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA public TO app',
  // What changes nothing.
  '-- This is an empty migration.',
  "SELECT 1; SELECT count(*), max(lower(email)), now() FROM users WHERE email LIKE '%@%'; SELECT pg_sleep(0)",
  "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0; RESET work_mem",
  'LOCK TABLE orders IN ACCESS EXCLUSIVE MODE',
  {
    sql: 'BEGIN; ALTER TABLE users ADD COLUMN alone int; COMMIT',
    alone: { undo: 'ALTER TABLE users DROP COLUMN alone' },
  },
];

/** Judged as taking something away, of which an old query shows that it does. */
export const BREAKING: (string | Example)[] = [
  'CREATE TABLE IF NOT EXISTS users (id int); ALTER TABLE users DROP COLUMN name',
  'CREATE TABLE app.users (id int); ALTER TABLE users DROP COLUMN name',
  'CREATE TABLE reports (id int); CREATE SCHEMA x; CREATE TABLE x.users (id int); ALTER TABLE public.users DROP COLUMN name',
  'GRANT SELECT ON teams TO app; CREATE TABLE app.teams (id int)',
  'CREATE VIEW app.orders AS SELECT 1 AS id',
  'CREATE TABLE moved (id int); WITH moving AS (DELETE FROM orders RETURNING id) INSERT INTO moved SELECT id FROM moving',
  'CREATE TABLE copied AS SELECT forget()',
  'UPDATE users SET name = NULL',
  'UPDATE ONLY "users" SET "name" = $$x$$ WHERE id = 1',
  'ALTER TABLE users ADD COLUMN x int; UPDATE users SET x = 1, name = NULL',
  'DELETE FROM orders',
  'TRUNCATE orders',
  "INSERT INTO users (email) VALUES ('dan@x.org')",
  'MERGE INTO users USING teams ON users.id = teams.id WHEN MATCHED THEN DELETE',
  'DROP INDEX counters_name',
  'DROP TABLE members',
  'DROP VIEW happy_users',
  'DROP SEQUENCE tickets',
  'DROP FUNCTION label_of',
  'ALTER TABLE teams DROP CONSTRAINT teams_code',
  'ALTER TABLE users DROP CONSTRAINT users_email_key',
  'ALTER TABLE orders DROP CONSTRAINT orders_user',
  'ALTER TABLE orders DROP COLUMN note',
  'ALTER TABLE users RENAME TO people',
  'ALTER TABLE users RENAME COLUMN name TO full_name',
  'ALTER TABLE teams RENAME CONSTRAINT teams_code TO teams_unique',
  "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'",
  'ALTER TABLE users ALTER COLUMN created_at SET NOT NULL, ALTER COLUMN created_at DROP DEFAULT',
  'ALTER TABLE orders ALTER COLUMN total TYPE int',
  'ALTER TABLE users ALTER COLUMN mood DROP DEFAULT',
  "ALTER TABLE users ALTER COLUMN mood SET DEFAULT 'sad'",
  'ALTER TABLE users ALTER COLUMN id SET GENERATED ALWAYS',
  'ALTER TABLE orders ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY',
  'ALTER TABLE tags ADD PRIMARY KEY (id)',
  'CREATE UNIQUE INDEX ON tags (id)',
  'ALTER TABLE users ADD CONSTRAINT poor CHECK (balance < 22)',
  'ALTER TABLE users ADD CONSTRAINT poor CHECK (balance < 22) NOT VALID',
  'ALTER TABLE orders ADD FOREIGN KEY (id) REFERENCES prices ON DELETE SET NULL ON UPDATE CASCADE NOT VALID',
  'ALTER TABLE tags ADD COLUMN n int NOT NULL',
  'ALTER TABLE tags ADD COLUMN n text NOT NULL CHECK (label <> $$twice$$) DEFAULT $$x$$',
  'ALTER TABLE tags ADD COLUMN n int DEFAULT 1 UNIQUE',
  'ALTER TABLE tags ADD COLUMN n int UNIQUE NULLS NOT DISTINCT',
  'ALTER TABLE tags ADD COLUMN n serial',
  'ALTER TABLE tags ADD COLUMN n int GENERATED ALWAYS AS (1 / (id - 1)) STORED',
  'CREATE DOMAIN needed AS text CHECK (VALUE IS NOT NULL) DEFAULT $$x$$; ALTER TABLE tags ADD COLUMN n needed; ALTER DOMAIN needed DROP DEFAULT',
  { sql: 'ALTER TABLE notes ADD COLUMN n int', use: 'DISCARD PLANS' }, // as a new session
  'ALTER TABLE prices ADD COLUMN n int',
  { sql: 'ALTER TABLE users ADD COLUMN t int REFERENCES teams', use: 'UPDATE users SET t = 7' },
  {
    sql: 'ALTER TABLE users ADD COLUMN t int REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE',
    use: 'UPDATE users SET t = 7',
  },
  { sql: 'CREATE TABLE plans (user_id int REFERENCES users)', use: 'INSERT INTO plans VALUES (1)' },
  {
    sql: 'CREATE TABLE plans (user_id int REFERENCES users ON DELETE CASCADE)',
    use: 'INSERT INTO plans VALUES (1)',
  },
  {
    sql: `CREATE TABLE plans (user_id int NOT NULL); ALTER TABLE plans ADD FOREIGN KEY (user_id) REFERENCES users ${ACTIONS}`,
    use: 'INSERT INTO plans VALUES (2)',
  },
  {
    sql: `CREATE TABLE plans (user_id int REFERENCES users ${ACTIONS}); ALTER TABLE plans ADD CHECK (user_id IS NOT NULL)`,
    use: 'INSERT INTO plans VALUES (2)',
  },
  {
    sql: `CREATE TABLE plans (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE ON UPDATE CASCADE);
      CREATE TABLE steps (plan_id int REFERENCES plans)`,
    use: 'INSERT INTO plans VALUES (1, 2); INSERT INTO steps VALUES (1)',
  },
  {
    sql: `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
      CREATE TABLE plans (user_id int REFERENCES users ON DELETE CASCADE ON UPDATE CASCADE);
      CREATE TRIGGER t BEFORE DELETE ON plans FOR EACH ROW EXECUTE FUNCTION refuse()`,
    use: 'INSERT INTO plans VALUES (2)',
  },
  `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
   CREATE TRIGGER refuse BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION refuse()`,
  'CREATE RULE quiet AS ON INSERT TO orders DO INSTEAD NOTHING',
  'CREATE TABLE more () INHERITS (users); INSERT INTO more (id, email) VALUES (1, $$more@x.org$$)',
  'CREATE INDEX ON tags ((1 / (id - 1)))',
  'CREATE INDEX ON tags (id) WHERE label::int > 0 OR id = 1 / (id - 1)',
  'DO $$ BEGIN EXECUTE $x$ DROP TABLE tags $x$; END $$',
  'SELECT forget()',
  'SELECT * FROM forgetting',
  { sql: "SELECT setval('users_id_seq', 1)", alone: { undo: "SELECT setval('users_id_seq', 100)" } },
  'CREATE TABLE plans (id int DEFAULT 1); CREATE FUNCTION gone() RETURNS int LANGUAGE sql AS $$ DELETE FROM orders RETURNING 1 $$; CREATE TABLE p (id int DEFAULT gone()); INSERT INTO p DEFAULT VALUES',
  `CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM orders; RETURN NULL; END $$;
   CREATE TABLE plans (id int); CREATE TRIGGER gone BEFORE UPDATE ON plans EXECUTE FUNCTION gone(); UPDATE plans SET id = 1`,
  'CREATE OR REPLACE FUNCTION label_of(team int) RETURNS text LANGUAGE sql AS $$ SELECT NULL::text $$',
  'CREATE FUNCTION label_of(team bigint, more text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$ SELECT more $$; DROP FUNCTION label_of(int)',
  'CREATE FUNCTION lower(x varchar) RETURNS text LANGUAGE sql AS $$ SELECT $x$x$x$ $$',
  'CREATE OR REPLACE VIEW happy_users AS SELECT id, email FROM users',
  'REVOKE INSERT ON orders FROM app',
  'ALTER TABLE users ENABLE ROW LEVEL SECURITY',
  'CREATE POLICY mine ON orders USING (user_id = 1); ALTER TABLE orders ENABLE ROW LEVEL SECURITY',
  'ALTER TABLE tags SET SCHEMA app; REVOKE USAGE ON SCHEMA app FROM app; ALTER SCHEMA app OWNER TO postgres',
  'SET search_path = app; CREATE TABLE teams (id int); ALTER TABLE public.teams DROP COLUMN title',
  'CREATE PUBLICATION p FOR ALL TABLES',
  'ALTER TABLE users REPLICA IDENTITY NOTHING; CREATE PUBLICATION p FOR TABLE users',
  'ALTER SEQUENCE users_id_seq RESTART 1',
  'ALTER SEQUENCE tickets OWNED BY NONE; REVOKE ALL ON SEQUENCE tickets FROM app',
];

/** Judged as taking something away, because nothing is known that says otherwise. */
export const NOT_KNOWN: string[] = [
  'ALTER TABEL t ADD c int',
  '\\set x 1\nSELECT :x',
  'COPY users FROM stdin;\n1\n\\.',
  "COPY users (email) FROM '/etc/passwd'",
  "ALTER TYPE mood ADD VALUE 'angry'",
  'ALTER TABLE users ALTER COLUMN email DROP NOT NULL',
  'ALTER TABLE users OWNER TO app',
  'ALTER TABLE users ALTER email SET STORAGE PLAIN',
  'ALTER TABLE users SET (user_catalog_table = true)',
  'ALTER VIEW happy_users SET (security_invoker = true)',
  'ALTER ROLE app SET search_path = app',
  'ALTER DATABASE app SET default_transaction_read_only = on',
  'ALTER SYSTEM SET work_mem = 1',
  'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO app',
  'CREATE EXTENSION hstore',
  'CREATE EXTENSION citext WITH SCHEMA app',
  'DROP EXTENSION plpgsql',
  'CREATE TEMP TABLE users (id int)',
  'CREATE TABLE pg_temp.plans (id int)',
  'CREATE TABLE plans (LIKE users INCLUDING ALL)',
  'CREATE TABLE plans (id int); ALTER TABLE public.plans DROP COLUMN id',
  'CREATE TABLE plans (id int); DROP TABLE plans; ALTER TABLE plans DROP COLUMN id',
  'CREATE TABLE plans (id int); DROP TABLE plans CASCADE',
  'CREATE TABLE plans (id int); ROLLBACK; ALTER TABLE plans ADD x int',
  'CREATE TABLE plans (id int); ALTER TABLE plans RENAME TO users2',
  'CREATE INDEX mood ON users (name)',
  'CREATE INDEX mood2 ON users (name); DROP TYPE mood2',
  'CREATE SCHEMA x CREATE TABLE users (id int)',
  'CREATE FUNCTION mood(text) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$',
  'CREATE FUNCTION uuid(text) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$',
  'CALL tidy()',
  'SET standard_conforming_strings = off',
  "SET LOCAL session_replication_role = 'replica'",
  'RESET ALL',
  "SELECT set_config('search_path', 'app', false)",
  "SELECT pg_catalog.setval('tickets', 1)",
  'SELECT id INTO gone FROM users',
  'SELECT 1 FROM users FOR UPDATE',
  'REFRESH MATERIALIZED VIEW x',
  'REINDEX TABLE users',
  'CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)',
  'CREATE CAST (mood AS int) WITH FUNCTION f(mood)',
  'CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION f()',
  'GRANT pg_read_all_data TO app',
  'DROP OWNED BY app',
  'SECURITY LABEL ON TABLE users IS $$x$$',
  "PREPARE TRANSACTION 'x'",
  'ALTER TABLE users ATTACH PARTITION x DEFAULT',
  'ALTER TABLE users ADD COLUMN IF NOT EXISTS x int; UPDATE users SET x = 1',
  'UPDATE notes SET body = body',
  'ALTER TABLE users ADD x int; UPDATE users SET x = forget()',
];
