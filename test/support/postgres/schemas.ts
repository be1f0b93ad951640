/** Schemas that are hard to dump, and what pg_dump says of both sides of a restore. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { toDatabase } from '../../../scripts/lib/postgres/client.ts';
import type { World } from '../core/world.ts';
import { program } from './compare.ts';

const DIRECTORY = join(import.meta.dirname, 'schemas');

/** Behind this line is what only a superuser may create. */
const SUPERUSER = '-- Only a superuser:\n';

/** The names of the schemas in test/support/postgres/schemas. */
export const SCHEMAS = readdirSync(DIRECTORY).map(file => basename(file, '.sql'));

/** The roles that schemas name. */
export const ROLES = ['"Writ er"', 'granter', 'reader'];

export const createRoles = (world: World, member = ''): Promise<string> =>
  world.sql(
    ROLES.map(role => `CREATE ROLE ${role};${member && `GRANT ${role} TO ${member};`}`).join('\n'),
    'postgres',
  );

/** Statements of a schema, as psql reads them. */
export function statementsOf(schema: string, part: 'owner' | 'superuser'): string {
  const [owner = '', superuser = ''] = readFileSync(join(DIRECTORY, `${schema}.sql`), 'utf8').split(
    SUPERUSER,
  );
  return part === 'owner' ? owner : superuser;
}

/** Runs statements in psql as a superuser, or as `role`. */
export async function runScript(world: World, script: string, role?: string): Promise<void> {
  const path = join(world.directory, 'script.sql');
  writeFileSync(path, `${role ? `SET SESSION AUTHORIZATION ${role};\n` : ''}${script}`);
  const superuser = { ...world, env: { ...world.env, ...world.pg.env } };
  await program(
    superuser,
    'psql',
    '-qX',
    '-vON_ERROR_STOP=1',
    '-o/dev/null',
    `-d${toDatabase(world.database)}`,
    `-f${path}`,
  );
}

const SECTIONS = ['pre-data', 'data', 'post-data'] as const;

export type Sections = Record<(typeof SECTIONS)[number], string>;

/** What pg_dump writes of each section, but for the random words of \restrict. */
export async function sectionsOf(world: World, database = world.database): Promise<Sections> {
  const superuser = { ...world, env: { ...world.env, ...world.pg.env } };
  const dumps = SECTIONS.map(async section => {
    const dump = await program(
      superuser,
      'pg_dump',
      `--section=${section}`,
      `--dbname=${toDatabase(database)}`,
    );
    return [section, dump.replaceAll(/^\\(un)?restrict \w+$/gm, '')];
  });
  return Object.fromEntries(await Promise.all(dumps));
}
