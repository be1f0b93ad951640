import { spawn } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { oidOf } from '../../../scripts/lib/postgres/databases.ts';
import { createFaultedWorld, startAgain } from '../../support/backup/faulted.ts';
import {
  killProgram,
  otherDatabases,
  removeBackups,
  strayFiles,
  untilNoProcess,
} from '../../support/backup/faults.ts';
import { KILLS, randomKills } from '../../support/backup/random-kills.ts';
import { change } from '../../support/core/expect.ts';
import { finishHere } from '../../support/core/in-process.ts';
import { pauseProgram } from '../../support/core/pause.ts';
import { createRandom } from '../../support/core/random.ts';
import { until } from '../../support/core/world.ts';
import { betweenTheRenames, midLoad } from '../../support/restore/restore-faults.ts';

const world = await createFaultedWorld();
const { assertClean, assertNextRestoreWorks, faultAt, oldOrNew } = world;
const backups = { plain: await world.backUp('plain'), custom: await world.backUp('custom') };
const WORK = '.fetched-production';
const RESTORE: [string, string[]] = ['restore', [backups.plain, '--yes']];

for (const [format, id] of Object.entries(backups)) {
  test(`${format}: kill -9 at every step: the old database or the new one, and the next run puts the rest right`, async () => {
    const seen = new Set<string>();
    const steps = await world.killAtEveryStep(['restore', [id, '--yes']], async step => {
      const state = await oldOrNew();
      assert.ok(state === 'new' || !seen.has('new'), `step ${step}: there is no way back after the swap`);
      seen.add(state);
      if (state === 'old') return;
      await finishHere(world);
      await change(world, 'live');
    });
    assert.ok(steps > 20, `${steps} programs are started`); // some reads share one
    // What is read after the swap may need no program of its own. A kill then has a test below.
    assert.ok(seen.has('old'));
    await finishHere(world);
    assert.equal(strayFiles(world), []);
    await assertNextRestoreWorks(id);
  });
}

test('kill -9 of PostgreSQL while loading', async () => {
  const ended = await faultAt(midLoad(world), RESTORE, () => world.pg.halt('SIGKILL'));
  await startAgain(world);
  assert.is(ended.code, 1, ended.stderr);
  assert.match(ended.stderr, /could not load/);
  assert.match(ended.stderr, /app_new_\d+_\d+ is left over; the next run tries to drop it/);
  await assertClean({ databases: 1 });
  assert.is(await oldOrNew(), 'old');
  await assertNextRestoreWorks(backups.plain);
});

test('kill -9 of the script while loading: no process outlives it, and the next runs remove what it left', async () => {
  const ended = await faultAt(midLoad(world), RESTORE, ({ child }) => child.kill('SIGKILL'));
  assert.is(ended.signal, 'SIGKILL');
  await assertClean({ files: [WORK], databases: 1 });
  assert.is(await oldOrNew(), 'old');
  const another = await world.backUp('plain');
  assert.equal(strayFiles(world), [], 'a backup needs the space');
  await assertNextRestoreWorks(another);
});

test('kill -9 of psql while loading', async () => {
  const ended = await faultAt(midLoad(world), RESTORE, () =>
    killProgram(world, 'psql', '--output=/dev/null'),
  );
  assert.is(ended.code, 1, ended.stderr);
  assert.match(ended.stderr, /could not load .*: psql was ended by signal 9/);
  await assertClean();
  assert.is(await oldOrNew(), 'old');
});

test('kill -9 of the idle session of the role that loads: the load goes on', async () => {
  const ended = await faultAt(midLoad(world), RESTORE, () => killProgram(world, 'psql', '--tuples-only'));
  assert.is(ended.code, 0, ended.stderr);
  assert.is(await oldOrNew(), 'new');
  await finishHere(world);
  await change(world, 'live');
});

test('kill -9 of gzip while loading', async () => {
  const ended = await faultAt(midLoad(world), RESTORE, () => killProgram(world, 'gzip'));
  assert.is(ended.code, 1, ended.stderr);
  assert.match(ended.stderr, /could not load .*: gzip was ended by signal 9/);
  await assertClean();
});

for (const [signal, code] of [
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const)
  test(`${signal} while loading`, async () => {
    const ended = await faultAt(midLoad(world), RESTORE, ({ child }) => child.kill(signal));
    assert.is(ended.code, code, ended.stderr);
    assert.match(ended.stderr, `interrupted by ${signal}`);
    await assertClean();
    assert.is(await oldOrNew(), 'old');
  });

test('kill -9 of the backend that loads', async () => {
  const ended = await faultAt(midLoad(world), RESTORE, () => world.killBackend(`query LIKE 'COPY%'`));
  assert.is(ended.code, 1, ended.stderr);
  assert.match(ended.stderr, /could not load/);
  await untilNoProcess(world);
  assert.is(await oldOrNew(), 'old');
  await assertNextRestoreWorks(backups.plain);
});

test('SIGTERM between the two renames comes too late: the restore is done', async () => {
  const { code, stderr, next } = await betweenTheRenames(world, backups.plain, ({ child }) =>
    child.kill('SIGTERM'),
  );
  assert.is(code, 0, stderr);
  assert.is(await oidOf(world.pg.postgres, world.database), next);
  assert.is(await oldOrNew(), 'new');
  assert.match(stderr, /swapped in .*; the old database is app_before_/);
  await finishHere(world);
  await assertClean();
  await change(world, 'live');
});

test('kill -9 of the script between the two renames: both are done, or none', async () => {
  const fault = betweenTheRenames(world, backups.plain, ({ child }) => child.kill('SIGKILL'));
  const { signal, live, next } = await fault;
  assert.is(signal, 'SIGKILL');
  const now = await oidOf(world.pg.postgres, world.database);
  const [other, ...more] = await otherDatabases(world);
  assert.equal(more, []);
  const state = await oldOrNew();
  assert.is(now, state === 'old' ? live : next);
  assert.match(other!, state === 'old' ? /^app_new_/ : /^app_before_/);
  if (state === 'new') await finishHere(world);
  await assertNextRestoreWorks(backups.plain);
});

const SWAP = 'RENAME TO';

for (const [program, words, when, signal, swapped, code] of [
  ['pg_restore', '--jobs', 'after', 'SIGTERM', false, 143],
  ['psql', SWAP, 'before', 'SIGKILL', false, null],
  // In the swap a signal comes too late: what is reported is what happened.
  ['psql', SWAP, 'before', 'SIGTERM', true, 0],
  ['psql', SWAP, 'after', 'SIGINT', true, 0],
] as const) {
  test(`${signal} ${when} ${program} ${words}`, async () => {
    await change(world, 'live');
    const pause = pauseProgram(world, program, words, when);
    const restore = world.start('restore', [backups.custom, '--yes'], pause.env);
    await pause.reached(restore);
    restore.child.kill(signal);
    if (code === 0) pause.go(); // it waits for the swap, as it should
    const ended = await restore.ended;
    assert.is(ended.code, code, ended.stderr);
    await untilNoProcess(world);
    assert.is(await oldOrNew(), swapped ? 'new' : 'old');
    if (code === 0) assert.match(ended.stdout, /the replaced database is kept as app_before_/);
    if (code === 143) {
      assert.match(ended.stderr, /interrupted by SIGTERM/);
      await assertClean();
    }
    if (swapped) await finishHere(world);
    await assertNextRestoreWorks(backups.plain);
  });
}

test('kill -9 of the script when the swap is done and it does not know yet: the restored one serves', async () => {
  const pause = pauseProgram(world, 'psql', 'RENAME TO', 'after');
  const ended = await faultAt(pause, ['restore', [backups.plain, '--yes']], ({ child }) =>
    child.kill('SIGKILL'),
  );
  assert.is(ended.signal, 'SIGKILL');
  await untilNoProcess(world);
  assert.is(await oldOrNew(), 'new');
  await finishHere(world);
  await change(world, 'live');
});

test('kill -9 while a session that can’t be ended holds up the swap', async () => {
  const { POSTGRES_USER, POSTGRES_PASSWORD, ...env } = world.env;
  const client = spawn('psql', ['-qXAtd', 'app', '-c', 'SELECT pg_sleep(600)'], {
    env: { ...env, PGUSER: POSTGRES_USER, PGPASSWORD: POSTGRES_PASSWORD, PGAPPNAME: 'stuck' },
    stdio: 'ignore',
  });
  const stuck = () => world.backends(`application_name = 'stuck' AND state = 'active'`);
  const renames = () => world.backends(`query LIKE 'BEGIN; ALTER DATABASE%' AND state = 'active'`);
  await until('the client is at work', async () => (await stuck()).length === 1);
  const [pid] = (await stuck()) as [number];
  const pause = pauseProgram(world, 'psql', SWAP, 'before');
  const restore = world.start('restore', [backups.custom, '--yes'], pause.env);
  try {
    await pause.reached(restore);
    process.kill(pid, 'SIGSTOP');
    pause.go();
    await until('the swap waits', async () => (await renames()).length > 0);
    restore.child.kill('SIGKILL');
  } finally {
    process.kill(pid, 'SIGCONT');
    client.kill('SIGKILL');
  }
  assert.is((await restore.ended).signal, 'SIGKILL');
  await until('the server is done with the swap, too', async () => (await renames()).length === 0);
  await untilNoProcess(world);
  if ((await oldOrNew()) === 'new') await finishHere(world);
  await assertNextRestoreWorks(backups.plain);
});

const random = createRandom();

for (const [format, id] of Object.entries(backups)) {
  test(`${format}: ${KILLS / 2} kills of restore.ts at random moments (SEED=${random.seed})`, async () => {
    await randomKills(
      world,
      { script: ['restore', [id, '--yes']], runs: KILLS / 2, random, lock: 'production' },
      async code => {
        const left = await otherDatabases(world);
        const state = await oldOrNew();
        assert.ok(state === 'new' || code !== 0, 'a run that succeeds has swapped');
        if (state === 'new') {
          await finishHere(world);
          await change(world, 'live');
        }
        await assertNextRestoreWorks(id);
        removeBackups(world, Object.values(backups));
        return `the ${state} database${left.some(name => /_new_/.test(name)) ? ', and one half loaded' : ''}`;
      },
    );
  });
}

test('kill -9 of the backend between the two renames: the live database is as it was', async () => {
  const fault = (_: unknown, backend: number) => process.kill(backend, 'SIGKILL');
  const { code, stderr, live } = await betweenTheRenames(world, backups.plain, fault);
  assert.is(code, 1, stderr);
  assert.match(stderr, /could not rename app_new_\d+_\d+ to app/);
  assert.is(await oidOf(world.pg.postgres, world.database), live);
  assert.is(await oldOrNew(), 'old');
});

test('the servers stop', world.stop);

test.run();
