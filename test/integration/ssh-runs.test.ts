/** What becomes of a deployment that was started through ssh: connections that are lost, second ones, kills. */
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { detachedRuns } from '../../scripts/lib/cli/detached-runs.ts';
import { exitCodeOf, messageOf } from '../../scripts/lib/core/errors.ts';
import { withLock } from '../../scripts/lib/core/lock.ts';
import { change, followOne } from '../../scripts/ssh-command.ts';
import { createSshPlaces, descendants, psOf } from '../support/cli/ssh-places.ts';
import { survives } from '../support/cli/ssh-signals.ts';
import { until } from '../support/core/world.ts';

const { server, place, stop } = await createSshPlaces();

/** @returns the error that ended it */
const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => assert.unreachable('it did not fail'),
    error => error,
  );

for (const [who, cut] of [
  ['the client', (client: number) => [client]],
  ['sshd’s side of it', () => descendants(server.pid, /^sshd: /)],
] as const) {
  test(`a connection that is cut, ${who} killed: the deploy continues to its end`, async () => {
    const { start, hold, release, untilAtWork, ends } = place();
    hold();
    const first = start(['deploy v2']);
    await untilAtWork();
    const victims = cut(first.child.pid!);
    assert.ok(victims.length > 0);
    for (const pid of victims) process.kill(pid, 'SIGKILL');
    assert.is.not((await first.ended).code, 0);
    assert.equal(ends(), []);
    const second = start(['follow']);
    release();
    const { code, stdout } = await second.ended;
    assert.is(code, 0);
    assert.match(stdout, /^at work, process \d+\ndeploy v2 --env production --yes\n$/);
    assert.equal(ends(), [{ script: 'deploy.ts', exitCode: 0 }]);
  });
}

// Of all signals: test/long/integration/ssh-signals.test.ts.
test('SIGHUP to the follower of a deploy, and to its process group, does not reach the deploy', () =>
  survives(server, place(), 'SIGHUP'));

test('a second run while one is running ends with 75; follow attaches to the running one', async () => {
  const { start, run, hold, release, untilAtWork, ends, logs } = place();
  hold();
  const first = start(['deploy exits-3 --run first']);
  await untilAtWork();
  const [refused, plan] = await Promise.all([run(['deploy v3']), run(['deploy v3 --plan'])]);
  assert.is(refused.code, 75);
  assert.match(refused.stderr, /a deploy is running: first\n {2}→ follow first shows it/);
  assert.is(plan.code, 0, 'looking is free');
  for (const [verb, name] of [
    ['rollback', undefined],
    ['deploy', 'second'],
  ] as const) {
    const error = await failure(change(logs, verb, name, ['false'], 'said by a test'));
    assert.is(exitCodeOf(error), 75);
    assert.is(messageOf(error), 'a deploy is running: first');
  }
  const second = start(['follow']);
  const third = followOne(logs, 'first');
  release();
  const codes = [first, second].map(async ({ ended }) => (await ended).code);
  assert.equal(await Promise.all([...codes, third]), [3, 3, 3]);
  assert.equal(ends(), [{ script: 'deploy.ts', exitCode: 3 }]);
});

test('the same --run again starts no second run, during the first and afterwards', async () => {
  const { start, hold, release, untilAtWork, ends, logs } = place();
  hold();
  const said = 'deploy exits-3 --run 4711-1';
  const first = start([said]);
  await untilAtWork();
  const again = start([said]);
  release();
  const [{ stdout }, repeated] = await Promise.all([first.ended, again.ended]);
  assert.equal([repeated.code, repeated.stdout], [3, stdout]);
  assert.is(await change(logs, 'deploy', '4711-1', ['false'], 'said by a test'), 3);
  assert.equal(ends(), [{ script: 'deploy.ts', exitCode: 3 }]);
  // Another name, or another verb of the same name, is another run.
  assert.is(await change(logs, 'deploy', '4711-2', ['sh', '-c', 'exit 4'], 'said by a test'), 4);
  assert.is(await change(logs, 'rollback', '4711-1', ['sh', '-c', 'exit 5'], 'said by a test'), 5);
  assert.equal(
    detachedRuns(logs)
      .map(({ verb, id }) => `${verb} ${id}`)
      .sort(),
    ['deploy 4711-1', 'deploy 4711-2', 'rollback 4711-1'],
  );
  assert.is(await followOne(logs, '4711-2'), 4);
  assert.is(exitCodeOf(await failure(followOne(logs, '4711'))), 2, 'the beginning of a name is none');
});

test('a lock that another script holds: the script’s own 75', async () => {
  const { run, state } = place();
  await withLock(state, 'production', 'backup.ts', async () => {
    const { code, stdout } = await run(['deploy v2']);
    assert.is(code, 75);
    assert.match(stdout, /^another run holds the lock$/m);
  });
});

test('a run that was killed with its shell: follow says so', async () => {
  const { start, run, hold, release, untilAtWork, worker, logs } = place();
  assert.is(exitCodeOf(await failure(followOne(logs, undefined))), 2, 'there is none yet');
  hold();
  const first = start(['deploy v2']);
  await untilAtWork();
  process.kill(-psOf(worker(), 'pgid'), 'SIGKILL');
  const { code, stderr } = await first.ended;
  assert.is(code, 1);
  assert.match(stderr, /ended without an exit code.*\n {2}→ run deploy again/);
  assert.match(messageOf(await failure(followOne(logs, undefined))), /ended without an exit code/);
  release();
  assert.is((await run(['deploy v3'])).code, 0, 'it stops nobody');
});

test('a run whose shell was killed is still the running one', async () => {
  const { start, run, hold, release, untilAtWork, worker, ends } = place();
  hold();
  const first = start(['deploy v2']);
  await untilAtWork();
  process.kill(psOf(worker(), 'ppid'), 'SIGKILL');
  const { code, stderr } = await run(['rollback']);
  assert.is(code, 75);
  assert.match(stderr, /a deploy is running/);
  release();
  assert.is((await first.ended).code, 1);
  await until('it has ended', () => ends().length > 0);
  assert.equal(ends(), [{ script: 'deploy.ts', exitCode: 0 }]);
});

test('of more than a hundred runs, the files of the oldest are deleted', async () => {
  const { logs, files } = place();
  mkdirSync(logs, { recursive: true });
  for (let day = 1; day <= 120; day++) {
    const began = new Date(Date.UTC(2026, 0, day));
    const path = join(logs, `deploy-${began.toISOString().slice(0, 10).replaceAll('-', '')}_000000-${day}`);
    writeFileSync(`${path}.log`, '');
    writeFileSync(`${path}.exit`, '0\n');
    utimesSync(`${path}.exit`, began, began);
  }
  assert.is(await change(logs, 'deploy', 'last', ['true'], 'said by a test'), 0);
  const kept = files();
  assert.is(kept.length, 2 * 101, 'a hundred, and the new one');
  assert.ok(kept.some(name => name.endsWith('-21.log')) && !kept.some(name => name.endsWith('-20.exit')));
  assert.is(exitCodeOf(await failure(followOne(logs, '20'))), 2);
});

test('the server stops', stop);

test.run();
