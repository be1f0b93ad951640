/** What was given up and can't be ended, because the server's process hangs. Else: test/integration/given-up.test.ts. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OutcomeUnknown } from '../../../scripts/lib/postgres/abandoned.ts';
import { runSql } from '../../../scripts/lib/postgres/client.ts';
import { makeBackup, refused } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import { kill, until } from '../../support/core/world.ts';
import { throughDocker } from '../../support/docker/exec-stub.ts';
import { statementsOfScripts } from '../../support/postgres/held-lock.ts';
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
        /SELECT pg_terminate_backend\(pid\) FROM pg_stat_activity WHERE application_name = 'neurmatic-scripts [0-9a-f]{12}'/,
      );
    } finally {
      await world.pg.resume();
    }
  }));

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
      await until('its sessions end', async () => (await statementsOfScripts(world)).length === 0, 20);
      await world.sql(NOT_SLOW, 'postgres');
      const next = await world.run('restore', ['latest', '--database', format, '--yes'], env);
      assert.is(next.code, 0, next.stderr);
      assert.match(next.stderr, /dropping database app_new_/);
    }
  }));

test('the servers stop', stop);

test.run();
