import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { chooseRelease, type Release, reachable } from '../../scripts/lib/deploy/releases.ts';

const images = (version: string) => ({ backend: `b:${version}`, frontend: `f:${version}` });

function entry(release: string, previous: string, more: Partial<Release> = {}): Release {
  return {
    time: '2026-01-31T02:00:07.000Z',
    environment: 'production',
    kind: 'deploy',
    outcome: 'done',
    release,
    images: images(release),
    previous: images(previous),
    migrations: [],
    contracting: [],
    backup: null,
    by: 'operator',
    seconds: 1,
    canary: null,
    ...more,
  };
}

const names = (releases: Release[]) => reachable(releases).map(({ release }) => release);

test('before the first deployment there is no release to go back to', () => {
  assert.equal(reachable([]), []);
  assert.throws(() => chooseRelease([], undefined), /there is no earlier release/);
});

test('a rollback is possible after each deployment, including the first', () => {
  assert.equal(names([entry('2', '1')]), ['2', 'the initial release']);
  assert.equal(names([entry('2', '1'), entry('3', '2')]), ['3', '2', 'the initial release']);
});

test('a rollback removes the releases after its target; the next one goes further back', () => {
  const history = [entry('2', '1'), entry('3', '2'), entry('2', '3', { kind: 'rollback' })];
  assert.equal(names(history), ['2', 'the initial release']);
  assert.is(chooseRelease(reachable(history), undefined).release, 'the initial release');
  assert.equal(names([...history, entry('4', '2')]), ['4', '2', 'the initial release']);
});

test('a deployment that was rolled back does not count', () => {
  assert.equal(names([entry('2', '1'), entry('3', '2', { outcome: 'rolled back' })]), [
    '2',
    'the initial release',
  ]);
});

test('a contracting migration blocks every older release, even if its own was rolled back', () => {
  for (const outcome of ['done', 'rolled back', 'stopped'] as const) {
    const history = [
      entry('2', '1'),
      entry('3', '2', { outcome, migrations: ['drop'], contracting: ['drop'] }),
      entry('4', '3'),
    ];
    const found = reachable(history).find(({ release }) => release === '2');
    assert.equal(found?.since, ['drop'], outcome);
    assert.equal(reachable(history)[0]?.since, [], outcome);
  }
});

test('after a deployment that stopped, the release before it is the one to go back to, by its name or without', () => {
  const stopped = entry('3', '2', { outcome: 'stopped', contracting: ['drop'] });
  const before = [entry('2', '1'), stopped];
  for (const history of [before, [...before, entry('4', '2', { outcome: 'rolled back' })]]) {
    const targets = reachable(history);
    assert.equal(names(history), ['3', '2', 'the initial release']);
    assert.is(targets[0]?.stopped, true);
    assert.equal(chooseRelease(targets, undefined), { release: '2', images: images('2'), since: ['drop'] });
  }
  assert.is(chooseRelease(reachable([stopped]), undefined).release, 'the initial release');
});

test('a release that stopped is not one to go back to when a corrected one serves', () => {
  const stopped = entry('3', '2', { outcome: 'stopped', contracting: ['drop'] });
  const history = [entry('2', '1'), stopped, entry('3.1', '2')];
  assert.equal(names(history), ['3.1', '2', 'the initial release']);
  assert.equal(names([entry('2', '1'), stopped, stopped]), ['3', '2', 'the initial release']);
  const back = entry('2', '3', { kind: 'rollback', backup: 'neurmatic_production_20260131_020007' });
  assert.equal(names([entry('2', '1'), stopped, back]), ['2', 'the initial release']);
  assert.equal(names([entry('2', '1'), stopped, entry('3', '2')]), ['3', '2', 'the initial release']);
});

test('a rollback with the database undoes its migrations', () => {
  const history = [
    entry('2', '1'),
    entry('3', '2', { contracting: ['drop'] }),
    entry('2', '3', { kind: 'rollback', backup: 'neurmatic_production_20260131_020007' }),
  ];
  assert.equal(
    reachable(history).map(({ release, since }) => [release, since]),
    [
      ['2', []],
      ['the initial release', []],
    ],
  );
});

test('the same images again are not another release', () => {
  assert.equal(names([entry('2', '1'), entry('2', '2')]), ['2', 'the initial release']);
});

test.run();
