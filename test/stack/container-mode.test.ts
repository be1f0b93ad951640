/*
 * The scripts with PostgreSQL in a container, which they enter with `docker exec`: the default on a server. The
 * server is process 1 there, as in the official image without `init`: it takes the violent death of any orphan
 * for a crash of its own, so nothing that scripts start may leave one.
 */
import { readdir } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Postgres } from '../../scripts/lib/config/config.ts';
import { disksOf } from '../../scripts/lib/postgres/disk-space.ts';
import { commandIn } from '../support/cli/paste.ts';
import { until } from '../support/core/world.ts';
import { NOT_SLOW, SLOW, SLOW_LOAD } from '../support/postgres/slow-load.ts';
import { DATA, DATA_BYTES, isLoading, killedLoad, startServer, wholeCycle } from './lib/container-server.ts';

const server = await startServer();

// The plain format goes the same way in test/long/stack/container-mode.test.ts.
test('custom: backed up from the container, restored into it, undone, drilled', () =>
  wholeCycle(server, 'custom'));

test('plain, from a bare server: the database is made, with its encoding and settings', async () => {
  const { run, sql } = await server.newShop();
  await sql('DROP DATABASE shop', 'postgres');
  await sql("CREATE DATABASE shop ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0", 'postgres');
  await sql('CREATE TABLE item AS SELECT generate_series(1, 20000) AS i');
  await sql("ALTER DATABASE shop SET work_mem TO '7MB'");
  const backup = await run('backup', ['--format', 'plain']);
  assert.is(backup.code, 0, backup.stderr);
  await sql('DROP DATABASE shop', 'postgres');
  const restore = await run('restore', ['latest', '--yes']);
  assert.is(restore.code, 0, restore.stderr);
  assert.is(await sql('SHOW work_mem'), '7MB');
  assert.is(await sql('SHOW server_encoding'), 'LATIN1');
  assert.is(await sql('SHOW lc_collate'), 'C');
  assert.is(await sql('SELECT count(*) FROM item'), '20000');
});

for (const [signal, code] of [
  ['SIGKILL', null],
  ['SIGTERM', 143],
] as const) {
  test(`${signal} during the dump ends pg_dump in the container too, and the next run succeeds`, async () => {
    const { start, run, sql, begin, processes, statements, backups } = await server.newShop();
    await sql("SELECT lo_from_bytea(0, 'a large object')");
    await begin('BEGIN; LOCK TABLE pg_largeobject; SELECT pg_sleep(600)'); // pg_dump waits for it, and nothing else
    await until(
      'the lock',
      async () =>
        (await sql(
          "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'pg_largeobject'::regclass",
        )) === '1',
    );
    const backup = start('backup');
    await until('pg_dump in the container', async () => /pg_dump --format/.test(await processes()));
    backup.child.kill(signal);
    assert.is((await backup.ended).code, code);
    await until('the end of pg_dump', async () => !/pg_dump|gzip/.test(await processes()));
    await until('the end of its sessions', async () => (await statements()) === 0, 10);
    await sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%' AND pid <> pg_backend_pid()",
    );
    const next = await run('backup');
    assert.is(next.code, 0, next.stderr);
    const files = await readdir(backups);
    assert.is(files.filter(name => name.endsWith('.json')).length, 1, files.join());
    assert.is(files.filter(name => name.includes('partial')).length, 0, files.join());
  });
}

// The plain format in test/long/stack/container-mode.test.ts.
test('SIGKILL while a custom dump loads ends it in the container too, and the next run succeeds', () =>
  killedLoad(server, 'custom'));

test('a load is ended before the disk of the container’s data directory is full', async () => {
  const { start, run, sql } = await server.newShop();
  const inside = (...command: string[]) => server.box.docker('exec', server.container, ...command);
  Object.assign(process.env, server.box.engine.env);
  const postgres = { container: server.container, user: 'postgres', database: 'shop' };
  const [disk] = await disksOf(postgres as Postgres, [DATA]);
  assert.is(disk!.size, DATA_BYTES);
  assert.is(disk!.device, Number(await inside('stat', '-c', '%d', DATA)));

  await sql(SLOW_LOAD);
  assert.is((await run('backup')).code, 0);
  await sql(SLOW);
  const restore = start('restore', ['latest', '--database', 'copy', '--yes']);
  await until('it loads', () => isLoading(sql), 60);
  const [{ free } = { free: 0 }] = await disksOf(postgres as Postgres, [DATA]);
  const left = 50 * 2 ** 20;
  await inside('fallocate', '-l', `${free - left}`, `${DATA}/filler`);
  const { code, stderr } = await restore.ended;
  await inside('rm', `${DATA}/filler`);
  await sql(NOT_SLOW);
  assert.is(code, 1, stderr);
  assert.match(
    stderr,
    /loading shop_new_\S+ was ended: the disk of \S+ has \d[^ ]* MiB free, and 10\d MiB stay free/,
  );
  assert.is(await sql("SELECT count(*) FROM pg_database WHERE datname ~ '_new_|copy'"), '0');
});

test('the server never crashed; a container that is not there or does not run is said so', async () => {
  const { run } = await server.newShop();
  const missing = await run('backup', [], { POSTGRES_CONTAINER: 'no-such-container' });
  assert.is(missing.code, 1);
  assert.match(missing.stderr, /container no-such-container.*can't be used: .*No such container/);
  await server.stop();
  await server.box.docker('stop', server.container);
  const stopped = await run('backup');
  assert.is(stopped.code, 1);
  assert.match(stopped.stderr, /is not running/);
  for (const form of [/`docker (logs [^`]+)` says why/, /`docker (start [^`]+)` starts it/])
    await server.box.docker(...commandIn(stopped.stderr, form).split(' '));
  const state = ['inspect', '--format', '{{.State.Running}}', server.container];
  assert.match(await server.box.docker(...state), /^true/);
});

test.run();
