/** A backup that is empty, or nearly so, is whole too: it does not replace a full database unasked. */
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findSource } from '../../scripts/lib/backup/find.ts';
import type { Manifest } from '../../scripts/lib/backup/manifest.ts';
import type { Source } from '../../scripts/lib/backup/source.ts';
import { planRestore } from '../../scripts/lib/deploy/rollback-database.ts';
import { openSession } from '../../scripts/lib/postgres/session.ts';
import { confirmSmall } from '../../scripts/lib/restore/small-result.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { captured } from '../support/core/here.ts';
import { makeBackup, refused, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import type { World } from '../support/core/world.ts';

const { inTurn, stop } = await createTurns({ env: { S3_BUCKET: '' } }); // what is off-site is no part of this

const fill = (world: World, rows: number) =>
  world.sql(`CREATE TABLE IF NOT EXISTS t (i int); INSERT INTO t SELECT generate_series(1, ${rows})`);

const rowsOf = async (world: World) => (await world.rows('SELECT FROM t')).length;

/** What replaces the live database in a restore, asked without one. */
const ask = (
  world: World,
  source: Source,
  flags: { 'allow-small'?: boolean; dryRun?: boolean; env?: Record<string, string> } = {},
  loaded?: number,
) =>
  confirmSmall(
    configOf(world, flags.env ?? {}),
    source,
    world.database,
    { yes: true, dryRun: flags.dryRun, allowSmall: flags['allow-small'] },
    loaded,
  );

/** Each way to its end: test/long/integration/small-result.test.ts. */
test('what a dump without a manifest has loaded is asked about by its rows', () =>
  inTurn(async world => {
    await fill(world, 1000);
    const why = (rows: number) =>
      new RegExp(`few.sql.gz has ${rows} rows, and database app, which it replaces, has 1,000\n`);
    const unchanged = /database is unchanged.*--allow-small/;
    const source = { name: 'few.sql.gz', format: 'plain', manifest: null } as Source;
    for (const rows of [99, 0]) await refused(() => ask(world, source, {}, rows), 2, why(rows), unchanged);
    await ask(world, source, {}, 100);
  }));

/** Of a backup that has 5 rows where the database has 1,000. To its end: test/long/integration/small-result.test.ts. */
async function assertRollbackRefuses(world: World, { id, artifact }: Manifest): Promise<void> {
  const config = configOf(world, {});
  const yes = true;
  await refused(() => planRestore(config, id, { yes }), 2, /has 5 rows.*1,000/, /Add --allow-small/);
  const missing = id.replace(/\d{8}/, '20200101');
  await refused(() => planRestore(config, missing, { yes }), 3, new RegExp(missing));

  const staging = configOf(world, { DEPLOY_ENV: 'staging' });
  const path = join(staging.backupDir, artifact.name);
  const small = { yes, allowSmall: true };
  const other = /this is a backup of database app of \w+ \(production\), not of .*\(staging\)/;
  await refused(() => planRestore(staging, path, small), 2, other, /add --allow-foreign/);
  assert.match((await planRestore(staging, path, { ...small, yes: false })).warning, other);
  assert.match((await planRestore(staging, path, { ...small, allowForeign: true })).warning, other);
  assert.is((await planRestore(config, id, small)).warning, '');
}

test('a backup with a manifest: before anything changes; a rollback refuses a small, foreign or missing one before it begins', () =>
  inTurn(async world => {
    await fill(world, 5);
    const manifest = await makeBackup(world, { upload: false });
    const { id } = manifest;
    await fill(world, 995);
    await assertRollbackRefuses(world, manifest);
    const why = new RegExp(`${id} has 5 rows, and database app, which it replaces, has 1,000\n`);
    const { code, error, stderr } = await captured(() => restoreHere(world, id));
    assert.is(code, 2, stderr);
    assert.match(`${error}\n`, why);
    assert.not.match(stderr, /from here on, things change/);
    await world.sql('ANALYZE');
    const source = await findSource(configOf(world, {}), id, 'local');
    await refused(() => ask(world, source), 2, why, /--allow-small/);
    for (const flags of [{ dryRun: true }, { 'allow-small': true }])
      assert.match((await captured(() => ask(world, source, flags))).stderr, why, JSON.stringify(flags));

    // An estimate that is out of date is not believed.
    await world.sql('DELETE FROM t WHERE i > 3');
    const before = await rowsOf(world);
    assert.ok(before < 50, `${before}`);
    await ask(world, source);
  }));

test('a table that stays locked is named with its holder, and the restore gives up', () =>
  inTurn(async world => {
    await fill(world, 1000);
    const tables = [{ schema: 'public', name: 't', rows: 5 }];
    const source = { name: 'few', format: 'plain', manifest: { tables } } as unknown as Source;
    await using holder = openSession(world.pg.postgres, world.database);
    const [{ pid }] = (await holder.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')) as [
      { pid: number },
    ];
    await holder.execute('BEGIN; LOCK TABLE public.t');
    const env = { BACKUP_LOCK_WAIT: '1s' };
    const { code, error, stderr } = await captured(() => ask(world, source, { env }));
    assert.is(code, 1, stderr);
    const held = `a lock on public\\.t, held by process ${pid} `;
    assert.match(stderr, new RegExp(`waiting for ${held}`));
    assert.match(error, new RegExp(`waited 1\\.0 s for ${held}`));
  }));

test('the servers stop', stop);

test.run();
