import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { drop, oidOf } from '../../scripts/lib/database.ts';
import { createFaultedWorld, startAgain } from '../support/faulted.ts';
import { gateAt, killProgram, otherDatabases, strayFiles, untilNoProcess } from '../support/faults.ts';
import { type Ended, type Started, until } from '../support/world.ts';

const world = await createFaultedWorld();
const { assertClean, assertNextRestoreWorks, backends, faultAt } = world;

const RESTORE: [string, string[]] = ['restore', [await world.backUp('plain'), '--yes']];
const WORK = '.fetched-production';
const midLoad = () => gateAt(world, { program: 'psql', args: '--output=/dev/null', input: 100_000 });

for (const program of ['psql', 'gzip']) {
  test(`kill -9 of ${program} while loading`, async () => {
    const ended = await faultAt(midLoad(), RESTORE, () => killProgram(world, program));
    assert.is(ended.code, 1, ended.stderr);
    assert.match(ended.stderr, new RegExp(`could not load .*: ${program} was ended by signal 9`));
    await assertClean();
  });
}

for (const [signal, code] of [
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const) {
  test(`${signal} while loading`, async () => {
    const ended = await faultAt(midLoad(), RESTORE, ({ child }) => child.kill(signal));
    assert.is(ended.code, code, ended.stderr);
    assert.match(ended.stderr, `interrupted by ${signal}`);
    await assertClean();
  });
}

test('kill -9 of the script while loading: no process outlives it, and the next runs remove what it left', async () => {
  const ended = await faultAt(midLoad(), RESTORE, ({ child }) => child.kill('SIGKILL'));
  assert.is(ended.signal, 'SIGKILL');
  await assertClean({ files: [WORK], databases: 1 });
  await world.backUp('plain');
  assert.equal(strayFiles(world), [], 'a backup needs the space');
  await assertNextRestoreWorks();
});

test('kill -9 of the script while loading in parallel', async () => {
  const id = await world.backUp('custom');
  const gate = gateAt(world, { program: 'pg_restore', args: '--jobs' });
  const ended = await faultAt(gate, ['restore', [id, '--yes']], ({ child }) => child.kill('SIGKILL'));
  assert.is(ended.signal, 'SIGKILL');
  await assertClean({ files: [WORK], databases: 1 });
  await assertNextRestoreWorks(RESTORE[1][0]); // of another backup
});

test('kill -9 of PostgreSQL while loading', async () => {
  const ended = await faultAt(midLoad(), RESTORE, () => world.pg.halt('SIGKILL'));
  await startAgain(world);
  assert.is(ended.code, 1, ended.stderr);
  assert.match(ended.stderr, /could not load/);
  assert.match(ended.stderr, /app_new_\d+_\d+ is left over; the next restore drops it/);
  await assertClean({ databases: 1 });
  await assertNextRestoreWorks();
});

test('kill -9 of the backend that loads', async () => {
  const ended = await faultAt(midLoad(), RESTORE, () => world.killBackend(`query LIKE 'COPY%'`));
  assert.is(ended.code, 1, ended.stderr);
  assert.match(ended.stderr, /could not load/);
  await untilNoProcess(world);
  await assertNextRestoreWorks();
});

const SWAPS = `query LIKE 'BEGIN; ALTER DATABASE%'`;
const HOLDS = `query LIKE 'BEGIN; COMMENT ON DATABASE%' AND wait_event = 'PgSleep'`;

/**
 * Brings a restore between its two renames and keeps it there: the first is done in the open transaction, the
 * second waits for a lock on the new database that the test holds.
 */
async function betweenTheRenames(
  fault: (started: Started, backend: number) => unknown,
): Promise<Ended & { live: number; next: number }> {
  for (const name of await otherDatabases(world)) await drop(world.pg.postgres, name);
  const gate = gateAt(world, { program: 'psql', args: 'BEGIN; ALTER DATABASE' });
  const live = (await oidOf(world.pg.postgres, world.database))!;
  let next = 0;
  const ended = await faultAt(gate, RESTORE, async started => {
    const [name] = await otherDatabases(world);
    next = (await oidOf(world.pg.postgres, name!))!;
    const hold = `BEGIN; COMMENT ON DATABASE "${name}" IS 'held'; SELECT pg_sleep(600); ROLLBACK`;
    const holder = world.sql(hold, 'postgres').catch(() => {}); // it is ended below
    await until('the lock is held', async () => (await backends(HOLDS)).length === 1);
    gate.open();
    const waiting = `${SWAPS} AND wait_event_type = 'Lock'`;
    await until('the second rename waits for it', async () => (await backends(waiting)).length === 1);
    await fault(started, (await backends(waiting))[0]!);
    await world.untilServing();
    await world.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${HOLDS}`, 'postgres');
    await holder;
  });
  await untilNoProcess(world);
  await until('the swap is over on the server', async () => (await backends(SWAPS)).length === 0);
  return { ...ended, live, next };
}

test('SIGTERM between the two renames comes too late: the restore is done', async () => {
  const { code, stderr, next } = await betweenTheRenames(({ child }) => child.kill('SIGTERM'));
  assert.is(code, 0, stderr);
  assert.is(await oidOf(world.pg.postgres, world.database), next);
  assert.match(stderr, /swapped in .*; the old database is app_before_/);
  const finish = await world.run('restore', ['--finish', '--yes']);
  assert.is(finish.code, 0, finish.stderr);
  await assertClean();
});

test('kill -9 of the script between the two renames: both are done, or none', async () => {
  const { signal, live, next } = await betweenTheRenames(({ child }) => child.kill('SIGKILL'));
  assert.is(signal, 'SIGKILL');
  const now = await oidOf(world.pg.postgres, world.database);
  const [other, ...more] = await otherDatabases(world);
  assert.equal(more, []);
  if (now === live) assert.match(other!, /^app_new_/);
  else {
    assert.is(now, next);
    assert.match(other!, /^app_before_/);
  }
  await assertNextRestoreWorks();
});

test('kill -9 of the backend between the two renames: the live database is as it was', async () => {
  const { code, stderr, live } = await betweenTheRenames((_, backend) => process.kill(backend, 'SIGKILL'));
  assert.is(code, 1, stderr);
  assert.match(stderr, /could not put app_new_\d+_\d+ in the place of app/);
  assert.is(await oidOf(world.pg.postgres, world.database), live);
  await assertNextRestoreWorks();
});

test('kill -9 at any moment: the live database has all rows, and the next run puts the rest right', async () => {
  for (let moment = 0; moment < 6; moment++) {
    const started = world.start('restore', ['latest', '--yes']);
    await new Promise(resolve => setTimeout(resolve, 300 + moment * 350));
    started.child.kill('SIGKILL');
    await started.ended;
    await untilNoProcess(world);
    assert.is((await world.rows('SELECT FROM t')).length, 20_000);
  }
  await assertNextRestoreWorks();
});

test('the servers stop', world.stop);

test.run();
