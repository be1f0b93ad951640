/** A database whose roles and properties a restore on another server has to make. */
import { begin } from '../core/expect.ts';
import type { World } from '../core/world.ts';

const ROLES = `CREATE ROLE team NOLOGIN;
  CREATE ROLE "App, User" LOGIN CREATEDB CONNECTION LIMIT 9 PASSWORD 'secret' IN ROLE team;
  ALTER ROLE "App, User" SET app.motto TO E'two\\nlines; with \\'quotes\\'';
  GRANT team TO "App, User" WITH ADMIN OPTION;
  CREATE TABLE secrets (owner name);
  ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
  CREATE POLICY own ON secrets TO "App, User" USING (owner = current_user);
  GRANT CONNECT ON DATABASE app TO team;
  ALTER DATABASE app OWNER TO "App, User"`;
const DROP_ROLES = `DROP DATABASE app; DROP ROLE "App, User"; DROP ROLE team`;
export const rolesOf = (world: World) =>
  world.rows(`SELECT rolname, rolcanlogin, rolcreatedb, rolsuper, rolconnlimit, rolconfig,
      (SELECT json_agg(json_build_array(pg_get_userbyid(roleid), admin_option)) FROM pg_auth_members WHERE member = oid) AS member
    FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY rolname`);

/** Leaves the server as if it had never had the database and its roles. */
export async function dropAll(world: World) {
  for (const statement of DROP_ROLES.split(';')) await world.sql(statement, 'postgres');
}

export async function createAll(world: World): Promise<void> {
  await begin(world);
  await world.sql(ROLES);
}
