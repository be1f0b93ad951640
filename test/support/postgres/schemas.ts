/** Schemas that are hard to dump, and what pg_dump says of both sides of a restore. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import * as assert from 'uvu/assert';
import type { Format } from '../../../scripts/lib/backup/manifest.ts';
import { toDatabase } from '../../../scripts/lib/postgres/client.ts';
import { drop } from '../../../scripts/lib/postgres/drop.ts';
import { captured } from '../core/here.ts';
import { makeBackup, restoreHere } from '../core/in-process.ts';
import type { World } from '../core/world.ts';
import { contentOf, databases, program } from './compare.ts';

const DIRECTORY = join(import.meta.dirname, 'schemas');

/** Behind this line is what only a superuser may create. */
const SUPERUSER = '-- Only a superuser:\n';

/** The schemas that need no package but PostgreSQL’s own. */
export const SCHEMAS = readdirSync(DIRECTORY, { withFileTypes: true })
  .filter(entry => entry.isFile() && entry.name !== 'postgis.sql')
  .map(({ name }) => basename(name, '.sql'));

/** The roles that schemas name, in the order in which pg_dump names those of a policy on a new server. */
export const ROLES = ['"Writ er"', 'granter', 'reader'];

/** A user who is no superuser. */
export const OWNER = { POSTGRES_USER: 'landlord', POSTGRES_PASSWORD: 'of the house' };

export async function createRoles(world: World, member?: string): Promise<void> {
  const roles = ROLES.map(role => `CREATE ROLE ${role}; ${member ? `GRANT ${role} TO ${member};` : ''}`);
  await world.sql(roles.join('\n'), 'postgres');
}

/** The user {@link OWNER}, who may make databases and roles, and no more. */
export async function createOwner(world: World): Promise<void> {
  const { POSTGRES_USER, POSTGRES_PASSWORD } = OWNER;
  await world.sql(
    `CREATE ROLE ${POSTGRES_USER} LOGIN CREATEDB CREATEROLE PASSWORD '${POSTGRES_PASSWORD}' IN ROLE pg_signal_backend`,
    'postgres',
  );
}

/** Statements of a schema, as psql reads them. */
export function statementsOf(schema: string, part: 'owner' | 'superuser'): string {
  const text = readFileSync(join(DIRECTORY, `${schema}.sql`), 'utf8');
  const [owner = '', superuser = ''] = text.split(SUPERUSER);
  return part === 'owner' ? owner : superuser;
}

const asSuperuser = (world: World): World => ({ ...world, env: { ...world.env, ...world.pg.env } });

/** Runs statements in psql as a superuser, or as `role`. */
export async function runScript(world: World, script: string, role?: string): Promise<void> {
  const path = join(world.directory, 'script.sql');
  writeFileSync(path, `${role ? `SET SESSION AUTHORIZATION ${role};\n` : ''}${script}`);
  const psql = ['-qX', '-vON_ERROR_STOP=1', '-o/dev/null', `-d${toDatabase(world.database)}`, `-f${path}`];
  await program(asSuperuser(world), 'psql', ...psql);
}

const SECTIONS = ['pre-data', 'data', 'post-data'] as const;

/** What pg_dump writes of each section, but for the random words of \restrict. */
export async function sectionsOf(world: World, database = world.database): Promise<Record<string, string>> {
  const dumps = SECTIONS.map(async section => {
    const argv = [`--section=${section}`, `--dbname=${toDatabase(database)}`];
    const dump = await program(asSuperuser(world), 'pg_dump', ...argv);
    return [section, dump.replaceAll(/^\\(un)?restrict \w+$/gm, '')];
  });
  return Object.fromEntries(await Promise.all(dumps));
}

/** Drops all databases and the roles of the schemas: the server is as good as a new one. */
export async function dropAll(world: World): Promise<void> {
  for (const name of await databases(world)) await drop(world.pg.postgres, name);
  for (const role of ROLES) await world.sql(`DROP ROLE IF EXISTS ${role}`, 'postgres');
}

/** Where databases come back: the server of the backup, and one that has nothing of it. */
export interface Places {
  here: World;
  bare: World;
}

/**
 * Backs up the database that `here` has and restores it from S3 beside itself and on the bare server.
 */
export async function comesBack({ here, bare }: Places, formats: Format[]): Promise<void> {
  const before = await sectionsOf(here);
  for (const format of formats) {
    const { id } = await makeBackup(here, { format });
    await dropAll(bare);
    for (const [place, world, env] of [
      ['the same server', here, {}],
      ['a bare one', bare, { S3_ENDPOINT: here.env.S3_ENDPOINT! }],
    ] as const) {
      const { error, stderr } = await captured(() => restoreHere(world, id, { from: 's3' }, env));
      assert.is(error, '', `${format}, ${place}: ${stderr}`);
      const after = await sectionsOf(world);
      for (const section of SECTIONS) assert.is(after[section], before[section], `${format}, ${place}`);
    }
  }
}

/** The schema `replication`, with a materialized view that is filled in vain, comes back. */
export async function triggersThatWrite(world: World): Promise<void> {
  await createRoles(world);
  for (const part of ['owner', 'superuser'] as const)
    await runScript(world, statementsOf('replication', part));
  await world.sql(`CREATE MATERIALIZED VIEW parent AS SELECT id FROM team; CREATE VIEW between AS SELECT id FROM parent;
    CREATE MATERIALIZED VIEW child AS SELECT id FROM between; REFRESH MATERIALIZED VIEW parent WITH NO DATA`);
  try {
    const before = await contentOf(world);
    const { id, warnings } = await makeBackup(world, { upload: false });
    assert.match(
      warnings.join(),
      /^materialized view public\.child has rows, but one that it reads has none/,
    );
    const { error, stderr } = await captured(() => restoreHere(world, id));
    assert.is(error, '', stderr);
    assert.equal(await contentOf(world), before);
  } finally {
    await dropAll(world);
  }
}
