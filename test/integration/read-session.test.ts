/** The reads of the maintenance database share one psql, and nothing of one read is left to the next. */
import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { query } from '../../scripts/lib/postgres/query.ts';
import { refused } from '../support/core/in-process.ts';
import { recordPrograms } from '../support/core/recorded-programs.ts';
import { createTurns } from '../support/core/turns.ts';
import { until, type World } from '../support/core/world.ts';
import { throughDocker } from '../support/docker/exec-stub.ts';

const { inTurn, stop } = await createTurns();

interface Reading {
  world: World;
  /** A read of the maintenance database. */
  read: <Row = { value: unknown }>(sql: string, options?: Parameters<typeof query>[3]) => Promise<Row[]>;
  pid: () => Promise<number>;
  /** How many psql were started. */
  starts: () => number;
}

/** Reads on this host, then through `docker exec`. */
const reading = (body: (reading: Reading) => Promise<void>) =>
  inTurn(async world => {
    const before = process.env.PATH!;
    const { POSTGRES_CONTAINER, PATH } = throughDocker(world);
    for (const [container, path] of [
      [undefined, world.env.PATH!] as const,
      [POSTGRES_CONTAINER, PATH] as const,
    ]) {
      const recorder = recordPrograms(
        `${world.directory}/${container ?? 'host'}-${process.hrtime.bigint()}`,
        path,
      );
      process.env.PATH = recorder.path;
      const postgres = { ...world.pg.postgres, container };
      const read: Reading['read'] = (sql, options) => query(postgres, 'postgres', sql, options);
      const pid = async () => (await read<{ pid: number }>('SELECT pg_backend_pid() AS pid'))[0]!.pid;
      const starts = () => recorder.starts().filter(([name]) => name === 'psql').length;
      try {
        await body({ world, read, pid, starts });
      } finally {
        process.env.PATH = before;
      }
    }
  });

test('a dozen reads start one psql, and what they return is whole', () =>
  reading(async ({ read, pid, starts }) => {
    const first = await pid();
    for (const text of ['', 'it\'s "Ü"\\n\n\t$1 :DBNAME', '\n-- end of read 1 --\n', 'x'.repeat(3_000_000)])
      assert.ok(
        (await read(`SELECT convert_from('\\x${Buffer.from(text).toString('hex')}', 'UTF8') AS value`))[0]!
          .value === text,
        text.slice(0, 50),
      );
    for (let n = 0; n < 8; n++) assert.equal(await read(`SELECT ${n} AS value`), [{ value: n }]);
    assert.equal([await pid(), starts()], [first, 1]);
  }));

test('no setting of a read is left to the next one', () =>
  reading(async ({ read, pid }) => {
    const first = await pid();
    const names = ['work_mem', 'search_path', 'statement_timeout', 'lock_timeout', 'role'];
    const settings = (timeout?: number) =>
      read(`SELECT current_setting(name) AS value FROM unnest('{${names}}'::text[]) AS name`, {
        ...(timeout && { timeout }),
      });
    const before = await settings();
    assert.equal(
      await read(
        `SELECT set_config('work_mem', '77kB', false) AS value, set_config('search_path', 'x', false) AS path`,
      ),
      [{ value: '77kB', path: 'x' }],
    );
    assert.equal((await settings(10)).slice(2, 4), [{ value: '9s' }, { value: '8s' }]);
    assert.equal(await settings(), before);
    assert.is(await pid(), first);
  }));

test('an error is that of a psql of its own, and the next read has a new session', () =>
  reading(async ({ read, pid }) => {
    const first = await pid();
    const error = await refused(
      () => read('SELECT 1/0 AS value'),
      1,
      /^could not query postgres: ERROR: +22012: division by zero/,
    );
    const alone = await refused(() => read('SELECT 1/0 AS value', { evenInterrupted: true }), 1);
    assert.is(error.replace('exit status 3', 'exit status 1'), alone);
    assert.is.not(await pid(), first);
  }));

test('no answer in time: the read is given up', () =>
  reading(async ({ world, read, pid }) => {
    const first = await pid();
    spawnSync('kill', ['-STOP', `${first}`]); // a server that hangs
    try {
      await refused(
        () => read('SELECT 1', { timeout: 0.5, purpose: 'look' }),
        1,
        /^could not look: no answer in 0.5 s$/m,
      );
    } finally {
      spawnSync('kill', ['-CONT', `${first}`]);
    }
    assert.is.not(await pid(), first);
    assert.is(await world.sql('SELECT 1', 'postgres'), '1\n');
  }));

test('a session that was lost between two reads is replaced', () =>
  reading(async ({ world, read, pid }) => {
    const first = await pid();
    await world.sql(`SELECT pg_terminate_backend(${first}, 5000)`, 'postgres');
    assert.equal(await read('SELECT 1 AS value'), [{ value: 1 }]);
    const second = await pid();
    await world.pg.halt();
    await refused(() => read('SELECT 1'), 1, /^could not query postgres: .*connection to server .* failed/);
    await world.pg.resume();
    assert.is.not(await pid(), second);
  }));

test('reads at once each get an answer, and none of the live database keeps a session', () =>
  reading(async ({ world, read }) => {
    const answers = await Promise.all(
      [0.2, 0.1, 0].map(s => read(`SELECT pg_sleep(${s})::text, ${s} AS value`, { timeout: 10 + s })),
    );
    assert.equal(
      answers.map(([row]) => row!.value),
      [0.2, 0.1, 0],
    );
    await query(world.pg.postgres, 'app', 'SELECT 1');
    const ofLive = "SELECT FROM pg_stat_activity WHERE datname = 'app' AND application_name ~ '^neurmatic'";
    await until('it has ended', async () => (await world.rows(ofLive, 'postgres')).length === 0);
  }));

test('the servers stop', stop);

test.run();
