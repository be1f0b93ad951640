/** What was given up by each signal, and what can't be ended, because the server's process hangs. Else: test/integration/given-up.test.ts. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OutcomeUnknown } from '../../../scripts/lib/postgres/abandoned.ts';
import { runSql } from '../../../scripts/lib/postgres/client.ts';
import { begin, stateOf } from '../../support/core/expect.ts';
import { makeBackup, refused } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import { kill, until } from '../../support/core/world.ts';
import { throughDocker } from '../../support/docker/exec-stub.ts';
import { givenUp, restored, untilNothingRuns } from '../../support/postgres/given-up.ts';
import { statementsOfScripts, untilItWaits } from '../../support/postgres/held-lock.ts';
import { NOT_SLOW, SLOW, SLOW_LOAD } from '../../support/postgres/slow-load.ts';

const { inTurn, stop } = await createTurns();

test('a process of the server that hangs: the error says that the outcome is unknown, and names the process', () =>
  inTurn(async world => {
    const sql = 'SELECT pg_sleep(600)';
    const run = runSql(world.pg.postgres, 'postgres', sql, { purpose: 'sleep', timeout: 5 });
    run.catch(() => {}); // it is looked at below
    const find = () =>
      world.rows<{ pid: number }>(`SELECT pid FROM pg_stat_activity WHERE query = '${sql}'`, 'postgres');
    await until('it sleeps', async () => (await find()).length === 1);
    const [{ pid }] = (await find()) as [{ pid: number }];
    process.kill(pid, 'SIGSTOP'); // a backend that hangs in the kernel, as on a dead disk
    try {
      const message = new RegExp(
        `could not sleep: no answer in 5 s; its process ${pid} in the server does not end`,
      );
      await refused(() => run, 1, message, new RegExp(`find out why process ${pid} hangs`));
      assert.instance(await run.catch(error => error), OutcomeUnknown);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await until('it has ended', async () => (await find()).length === 0);
  }));

test('a server that does not answer: the error says how the session is ended later', () =>
  inTurn(async world => {
    const sql = 'SELECT pg_sleep(600)';
    const run = runSql(world.pg.postgres, 'postgres', sql, { purpose: 'sleep' });
    const find = () =>
      world.rows<{ pid: number }>(`SELECT pid FROM pg_stat_activity WHERE query = '${sql}'`, 'postgres');
    await until('it sleeps', async () => (await find()).length === 1);
    await world.pg.halt('SIGQUIT'); // as after a lost network: no session can be looked for
    try {
      await refused(
        () => run,
        1,
        /whether the server still executes it is unknown/,
        /SELECT pg_terminate_backend\(pid\) FROM pg_stat_activity WHERE application_name = 'stack-scripts [0-9a-f]{12}'/,
      );
    } finally {
      await world.pg.resume();
    }
  }));

for (const [how, end] of [
  ['kill -9', { signal: 'SIGKILL' }],
  ['Ctrl-C', { signal: 'SIGINT', code: 130 }],
] as const) {
  test(`${how} while an undo waits for a lock: it is not done later`, () =>
    inTurn(async world => {
      const kept = await restored(world);
      await givenUp(world, kept, async () => {
        const undo = world.start('restore', ['--undo', '--yes']);
        await untilItWaits(world, undo, 'BEGIN; ALTER DATABASE');
        if ('code' in end) {
          undo.child.kill(end.signal);
          const { code, stderr } = await undo.ended;
          assert.is(code, end.code, stderr);
          assert.match(stderr, 'interrupted by SIGINT');
        } else {
          await kill(undo);
          await untilNothingRuns(world);
        }
      });
      assert.equal([await stateOf(world), await stateOf(world, kept)], ['backed up', 'live']);
    }));
}

for (const [where, variables, signals] of [
  ['', () => ({}), ['SIGTERM', 'SIGKILL']],
  [' through docker exec', throughDocker, ['SIGTERM', 'SIGKILL']],
] as const) {
  test(`${signals.join(' and ')} while a restore waits to create its database${where}: it does not appear later`, () =>
    inTurn(async world => {
      await begin(world);
      await makeBackup(world, { upload: false });
      const env = variables(world);
      for (const signal of signals) {
        await givenUp(world, 'template0', async () => {
          const restore = world.start('restore', ['latest', '--database', 'copy', '--yes'], env);
          await untilItWaits(world, restore, 'CREATE DATABASE');
          restore.child.kill(signal);
          const { code, stderr } = await restore.ended;
          if (signal === 'SIGTERM') assert.is(code, 143, stderr);
          else await untilNothingRuns(world);
        });
      }
    }));
}

test('SIGKILL while a restore loads through docker exec: nothing goes on, and the next run succeeds', () =>
  inTurn(async world => {
    const env = throughDocker(world);
    await world.sql(`CREATE TABLE item AS SELECT 1 AS i; ${SLOW_LOAD}`);
    for (const format of ['plain', 'custom'] as const) {
      await makeBackup(world, { format, upload: false });
      await world.sql(SLOW, 'postgres');
      const restore = world.start('restore', ['latest', '--database', format, '--yes'], env);
      const loads = async () =>
        (await statementsOfScripts(world)).some(query => query.startsWith('CREATE INDEX'));
      await until('it loads', loads);
      await kill(restore);
      await untilNothingRuns(world);
      await world.sql(NOT_SLOW, 'postgres');
      const next = await world.run('restore', ['latest', '--database', format, '--yes'], env);
      assert.is(next.code, 0, next.stderr);
      assert.match(next.stderr, /dropping database app_new_/);
    }
  }));

test('the servers stop', stop);

test.run();
