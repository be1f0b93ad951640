/** What killed runs leave is removed by the next one that may, and shown by the health check. */
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { leftovers } from '../../scripts/lib/health/checks/leftovers.ts';
import { newLoader } from '../../scripts/lib/postgres/loader.ts';
import { sweep } from '../../scripts/lib/restore/leftovers.ts';
import { gateAt, untilNoProcess } from '../support/backup/faults.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { captured } from '../support/core/here.ts';
import { makeBackup, refused, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import type { Started, World } from '../support/core/world.ts';
import { databases } from '../support/postgres/compare.ts';

const { inTurn, stop } = await createTurns();

const backedUp = async (world: World) => {
  await world.sql('CREATE TABLE t AS SELECT i FROM generate_series(1, 500) AS i');
  return makeBackup(world, { upload: true });
};

const hidden = (world: World) =>
  readdirSync(world.env.BACKUP_DIR!)
    .filter(name => name.startsWith('.'))
    .sort();

const midLoad = (world: World) => gateAt(world, { program: 'psql', args: '--output=/dev/null', input: 100 });

/** A directory, so many days old. */
function old(world: World, name: string, days: number): void {
  const path = join(world.env.BACKUP_DIR!, name);
  mkdirSync(path);
  writeFileSync(join(path, 'dump'), 'x');
  const time = new Date(Date.now() - days * 86_400_000);
  utimesSync(path, time, time);
}

async function end(world: World, { child, ended }: Started): Promise<void> {
  child.kill('SIGKILL');
  await ended;
  await untilNoProcess(world);
}

/** Of a restore and a load check, too, and with runs to their end: test/long/integration/leftovers.test.ts. */
test('a running drill is not touched by a backup or a restore; after kill -9 the next backup removes what it, a restore and a look left', () =>
  inTurn(async world => {
    await backedUp(world);
    const backUp = () => captured(() => makeBackup(world, { upload: false }));
    const gate = midLoad(world);
    const drill = world.start('drill', [], gate.env);
    try {
      await gate.reached();
      const running = await databases(world);
      assert.is(running.length, 2);
      const beside = await backUp();
      assert.is(beside.code, 0, beside.error);
      await sweep(configOf(world, {}), 'environment'); // as a restore does
      assert.equal(await databases(world), running);
    } finally {
      await end(world, drill); // whatever has failed: it stands at its gate
    }
    assert.equal(hidden(world), ['.drill-production']);
    await world.sql('CREATE DATABASE app_new_20260102_000000 STRATEGY FILE_COPY', 'postgres'); // as a restore does
    old(world, '.fetched-production', 0.5);
    const loaders = () => world.rows(`SELECT FROM pg_roles WHERE rolname ~ '^_loader_'`, 'postgres');
    assert.is((await loaders()).length, 1);
    // Killed before it had a database.
    await world.sql(newLoader(world.pg.postgres, 'app_new_20260101_000000').create, 'postgres');
    assert.match(
      (await leftovers(configOf(world, {})).run()).message,
      /role _loader_\w+_20260101_000000_\w+/,
    );
    old(world, '.look-abcdef', 2);
    old(world, '.look-running', 0.5);
    const { code, stderr, error } = await backUp();
    assert.is(code, 0, error);
    assert.match(stderr, /dropping role _loader_\w+, left by a run/);
    assert.equal(await loaders(), []);
    for (const what of ['new', 'drill'])
      assert.match(stderr, new RegExp(`dropping database app_${what}_\\d+_\\d+, left by a run`));
    for (const what of ['drill-production', 'fetched-production', 'look-abcdef'])
      assert.match(stderr, new RegExp(`removing .*/\\.${what}, left by a run that did not finish`));
    assert.equal(hidden(world), ['.look-running']);
    assert.equal(await databases(world), ['app']);
  }));

test('what can’t be removed is named and stops nothing; a prepared transaction of the live database stops a restore', () =>
  inTurn(async world => {
    await world.sql('ALTER SYSTEM SET max_prepared_transactions = 3', 'postgres');
    await world.pg.halt();
    await world.pg.resume();
    const [stuck, other] = ['app_new_20260101_000000', 'app_drill_20260102_000000'];
    try {
      for (const name of [stuck, other]) await world.sql(`CREATE DATABASE ${name}`, 'postgres');
      await world.sql(`BEGIN; CREATE TABLE p (); PREPARE TRANSACTION 'open'`, stuck);
      const { code, stderr, error } = await captured(() => makeBackup(world, { upload: false }));
      assert.is(code, 0, error);
      assert.match(stderr, new RegExp(`could not drop database ${stuck}: .*prepared`));
      assert.equal(await databases(world), ['app', stuck]);
      await world.sql(`BEGIN; CREATE TABLE q (); PREPARE TRANSACTION 'it''s pending'`);
      await refused(
        () => restoreHere(world, 'latest'),
        1,
        /app has a prepared transaction \(it's pending\)/,
        /COMMIT PREPARED or ROLLBACK PREPARED/,
      );
      await world.sql(`ROLLBACK PREPARED 'it''s pending'`);
      const { status, message } = await leftovers(configOf(world, {})).run();
      assert.is(status, 'warning');
      assert.match(message, new RegExp(`1 leftover of runs that did not finish: database ${stuck} `));
    } finally {
      await world.sql(`ROLLBACK PREPARED 'open'`, stuck);
      await world.sql('ALTER SYSTEM RESET max_prepared_transactions', 'postgres');
    }
  }));

test('the line of the health check: what is older than a day, also while PostgreSQL does not answer', () =>
  inTurn(async world => {
    mkdirSync(world.env.BACKUP_DIR!, { mode: 0o700 });
    const look = (env = {}) => leftovers(configOf(world, env)).run();
    const stamp = new Date(Date.now() - 3_600_000)
      .toISOString()
      .replace(/[-:]|\..*/g, '')
      .replace('T', '_');
    await world.sql(`CREATE DATABASE app_new_${stamp}`, 'postgres');
    old(world, '.fetched-production', 0.5);
    old(world, '.fetched-staging', 9);
    assert.is((await look()).status, 'ok', 'they can belong to runs');
    old(world, '.drill-production', 2);
    for (const name of ['app_before_20260101_000000', 'app_new_x', 'appl_new_20260101_000000'])
      await world.sql(`CREATE DATABASE ${name}`, 'postgres');
    assert.match((await look()).message, /^1 leftover .*: directory \/.*\/\.drill-production \(2 d\)$/);
    assert.is((await look({ PGPORT: '1' })).status, 'warning');
    assert.ok(existsSync(join(world.env.BACKUP_DIR!, '.drill-production')), 'looking removes nothing');
  }));

test('the servers stop', stop);

test.run();
