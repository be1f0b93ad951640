import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import { begin, change, stateOf } from '../../support/core/expect.ts';
import { finishHere, makeBackup, refused, restoreHere } from '../../support/core/in-process.ts';
import { pauseProgram } from '../../support/core/pause.ts';
import { createTurns } from '../../support/core/turns.ts';
import { startProgram, until, type World } from '../../support/core/world.ts';
import { databases } from '../../support/postgres/compare.ts';
import { restoreHeldUp, SWAP } from '../../support/postgres/held-swap.ts';

const { inTurn, stop } = await createTurns({ env: { S3_BUCKET: '' } }); // what is off-site is no part of this

/** The world as a script sees it that is started with other variables, too. */
const withEnv = (world: World, env: Record<string, string>): World => ({
  ...world,
  env: { ...world.env, ...env },
});

/** Killed meanwhile: test/long/integration/kill-restore.test.ts. */
test('a session that can’t be ended holds up the swap, and SIGTERM does not take back the decision', () =>
  inTurn(async world => {
    await begin(world);
    await makeBackup(world, { format: 'custom', upload: false });
    await change(world, 'live');
    await restoreHeldUp(world, ['latest', '--yes']);
    const [live, kept, ...others] = await databases(world);
    assert.equal([live, others], ['app', []]);
    assert.equal([await stateOf(world), await stateOf(world, kept)], ['backed up', 'live']);
    await finishHere(world);
    assert.equal(await databases(world), ['app']);
  }));

test('a prepared transaction is named, before anything is done and at the swap', () =>
  inTurn(async world => {
    await world.sql('ALTER SYSTEM SET max_prepared_transactions = 3', 'postgres');
    await world.pg.halt();
    await world.pg.resume();
    await begin(world);
    await makeBackup(world, { upload: false });
    await change(world, 'live');
    const prepare = `BEGIN; INSERT INTO state VALUES ('prepared'); PREPARE TRANSACTION 'it''s pending'`;
    await world.sql(prepare);
    const files = readdirSync(world.env.BACKUP_DIR!);
    await refused(
      () => restoreHere(world, 'latest'),
      1,
      /app has a prepared transaction \(it's pending\)/,
      /COMMIT PREPARED or ROLLBACK PREPARED/,
    );
    assert.equal(readdirSync(world.env.BACKUP_DIR!), files);
    await world.sql(`COMMIT PREPARED 'it''s pending'`);

    const pause = pauseProgram(world, 'psql', SWAP, 'before');
    const swapping = refused(
      () => restoreHere(withEnv(world, pause.env), 'latest'),
      1,
      /app has a prepared transaction \(it's pending\)/,
    );
    await pause.reached();
    await world.sql(prepare);
    pause.go();
    await swapping;
    assert.equal(await databases(world), ['app']);
    assert.is(await stateOf(world), 'live,prepared');
    await world.sql(`ROLLBACK PREPARED 'it''s pending'`); // else the database can't be dropped
  }));

test('a connection lost at the commit: the server says what happened', () =>
  inTurn(async world => {
    await begin(world);
    await makeBackup(world, { upload: false });
    await change(world, 'live');
    const pause = pauseProgram(world, 'psql', SWAP, 'after', 2);
    pause.go();
    const { kept } = await restoreHere(withEnv(world, pause.env), 'latest');
    assert.equal([await stateOf(world), await stateOf(world, kept!)], ['backed up', 'live']);
    assert.equal(await databases(world), ['app', kept]);
  }));

const [NEXT, KEPT] = ['app_new_20260101_000000', 'app_before_20260101_000000'];

/** What swaps, with a signal that takes effect between two attempts. */
const SWAPPER = `
  import { listenForSignals } from ${JSON.stringify(join(ROOT, 'scripts/lib/core/signals.ts'))};
  import { swap } from ${JSON.stringify(join(ROOT, 'scripts/lib/postgres/swap.ts'))};
  listenForSignals();
  const patience = { lockSeconds: 0.2, attempts: 10_000, pauseSeconds: 0.05 };
  await swap(JSON.parse(process.env.SERVER), 'app', '${NEXT}', '${KEPT}', patience).catch(error => {
    console.error(error.name, error.message);
    process.exitCode = 7;
  });`;

test('SIGTERM ends a swap between two attempts, with nothing renamed', () =>
  inTurn(async world => {
    await world.sql(`CREATE DATABASE ${NEXT} STRATEGY FILE_COPY`, 'postgres');
    const { POSTGRES_USER, POSTGRES_PASSWORD, ...env } = world.env;
    const client = spawn('psql', ['-qXAtd', 'app', '-c', 'SELECT pg_sleep(600)'], {
      env: { ...env, PGUSER: POSTGRES_USER, PGPASSWORD: POSTGRES_PASSWORD, PGAPPNAME: 'stuck' },
      stdio: 'ignore',
    });
    const stuck = () =>
      world.rows<{ pid: number }>(
        `SELECT pid FROM pg_stat_activity WHERE state = 'active' AND application_name = 'stuck'`,
        'postgres',
      );
    await until('the client is at work', async () => (await stuck()).length === 1);
    const [{ pid }] = (await stuck()) as [{ pid: number }];
    process.kill(pid, 'SIGSTOP'); // a backend that hangs in the kernel, as on a dead disk
    const argv = ['--input-type=module-typescript', '--eval', SWAPPER];
    const server = JSON.stringify(world.pg.postgres);
    const swapping = startProgram(process.execPath, argv, { ...world.env, SERVER: server });
    try {
      await until('it tries', async () => {
        const sql = `SELECT FROM pg_stat_activity WHERE query LIKE 'BEGIN; ALTER DATABASE%'`;
        return (await world.rows(sql, 'postgres')).length > 0;
      });
      swapping.child.kill('SIGTERM');
      await swapping.shows(/SIGTERM/);
      assert.is((await swapping.ended).code, 7, swapping.stderr());
    } finally {
      process.kill(pid, 'SIGCONT');
      client.kill('SIGKILL');
      swapping.child.kill('SIGKILL');
    }
    assert.equal(await databases(world), ['app', NEXT]);
  }));

test('the servers stop', stop);

test.run();
