/** Dumps with statements that fail when they are loaded. */
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { checkSource } from '../../../scripts/lib/backup/verify.ts';
import { readSpaceFacts } from '../../../scripts/lib/postgres/load-space.ts';
import { serverFacts } from '../../../scripts/lib/postgres/server.ts';
import { loadInto } from '../../../scripts/lib/restore/load-dump.ts';
import { configOf } from '../backup/old-backups.ts';
import { refused } from '../core/in-process.ts';
import type { World } from '../core/world.ts';
import { program } from '../postgres/compare.ts';
import { fetchedDump } from './plain-dumps.ts';

/** pg_dump sets an empty search_path, with which the body of this function does not find `plain`. */
export const UNQUALIFIED = `
  CREATE TABLE shops (id int PRIMARY KEY, name text);
  INSERT INTO shops VALUES (1, 'Café'), (2, 'Über');
  CREATE FUNCTION plain(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT translate($1, 'éÜ', 'eU') $$;
  CREATE FUNCTION slugify(v text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT lower(plain(v)) $$;
  CREATE INDEX shops_slug ON shops (slugify(name));
  CREATE MATERIALIZED VIEW slugs AS SELECT slugify(name) AS slug FROM shops;
  CREATE STATISTICS shops_statistics ON (slugify(name)), id FROM shops;
  COMMENT ON TABLE shops IS 'all';
`;

export const names = (world: World, database: string) =>
  world.rows(
    "SELECT id, name, obj_description('shops'::regclass) AS comment FROM shops ORDER BY id",
    database,
  );

/** Loads a plain dump into database `scratch`. */
export async function load(world: World, path: string, acceptErrors: boolean) {
  const config = configOf(world, {});
  await world.sql('DROP DATABASE IF EXISTS scratch', 'postgres');
  const source = await checkSource(config.postgres, fetchedDump(world, path));
  const space = await readSpaceFacts(config.postgres, await serverFacts(config.postgres));
  const accept = acceptErrors ? 'all' : 'none';
  return (await loadInto(config, source, 'scratch', space, { accept })).errors;
}

export const PRECIOUS = 'CREATE TABLE precious (i int);\n';
export const INDEX = 'CREATE INDEX broken ON precious (nothing(i));\n';

/**
 * @param whole also without its owners
 * @returns the path of a dump whose owner this server does not have, and a setting of a later version
 */
export async function ownerGone(world: World, whole: boolean): Promise<string> {
  await world.sql(
    `${UNQUALIFIED}; CREATE ROLE gone; ALTER TABLE shops OWNER TO gone; DROP INDEX shops_slug; DROP MATERIALIZED VIEW slugs`,
  );
  const path = join(world.directory, 'later.sql.gz');
  const later = "sed 's/^SET lock_timeout = 0;/&\\nSET transaction_timeout = 0;/'";
  const dump = (...options: string[]) =>
    program(
      world,
      'bash',
      '-o',
      'pipefail',
      '-c',
      `pg_dump app "$@" | ${later} | gzip > "$0"`,
      path,
      ...options,
    );
  if (whole) {
    await dump('--no-owner');
    assert.equal(await load(world, path, false), []);
    assert.equal(await names(world, 'scratch'), await names(world, 'app'));
  }
  await dump();
  await world.sql('REASSIGN OWNED BY gone TO postgres; DROP OWNED BY gone; DROP ROLE gone');
  const why =
    /1 statement of later.sql.gz failed:\n {2}- ALTER TABLE public.shops OWNER TO gone; \(line \d+\)\n/;
  await refused(() => load(world, path, false), 1, why, /role "gone" does not exist/, /--accept-errors/);
  return path;
}
