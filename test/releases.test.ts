import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { chooseRelease, type Release, reachable } from '../scripts/lib/deploy/releases.ts';
import { namedImages, repositoryOf } from '../scripts/lib/docker/images.ts';
import { worse } from '../scripts/lib/nginx/access-log.ts';
import { down, isDown, lineFor, serviceOf } from '../scripts/lib/nginx/upstreams.ts';

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

test('before the first deployment there is nothing to go back to', () => {
  assert.equal(reachable([]), []);
  assert.throws(() => chooseRelease([], undefined), /there is no release before this one/);
});

test('each deployment can be gone back from, the first one too', () => {
  assert.equal(names([entry('2', '1')]), ['2', 'the one before']);
  assert.equal(names([entry('2', '1'), entry('3', '2')]), ['3', '2', 'the one before']);
});

test('a rollback leaves what it went back from; the next one goes further back', () => {
  const history = [entry('2', '1'), entry('3', '2'), entry('2', '3', { kind: 'rollback' })];
  assert.equal(names(history), ['2', 'the one before']);
  assert.is(chooseRelease(reachable(history), undefined).release, 'the one before');
  assert.equal(names([...history, entry('4', '2')]), ['4', '2', 'the one before']);
});

test('a deployment that was taken back is none', () => {
  assert.equal(names([entry('2', '1'), entry('3', '2', { outcome: 'rolled back' })]), [
    '2',
    'the one before',
  ]);
});

test('a migration that takes something away stands before every older release, whatever became of its own', () => {
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

test('a rollback with the database takes its migrations out of the way', () => {
  const history = [
    entry('2', '1'),
    entry('3', '2', { contracting: ['drop'] }),
    entry('2', '3', { kind: 'rollback', backup: 'neurmatic_production_20260131_020007' }),
  ];
  assert.equal(
    reachable(history).map(({ release, since }) => [release, since]),
    [
      ['2', []],
      ['the one before', []],
    ],
  );
});

test('the same images again are no other release', () => {
  assert.equal(names([entry('2', '1'), entry('2', '2')]), ['2', 'the one before']);
});

test('repositories, with and without tags, digests and ports', () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  for (const [reference, expected] of [
    ['backend', 'backend'],
    ['backend:1', 'backend'],
    [`ghcr.io/owner/backend:1@${digest}`, 'ghcr.io/owner/backend'],
    ['127.0.0.1:5000/backend', '127.0.0.1:5000/backend'],
    ['127.0.0.1:5000/shop/backend:1', '127.0.0.1:5000/shop/backend'],
  ] as const)
    assert.is(repositoryOf(reference), expected);
});

test('one tag means both images; a digest means one; nothing else is taken', () => {
  const [a, b] = [`sha256:${'a'.repeat(64)}`, `sha256:${'b'.repeat(64)}`];
  const configured = { backend: 'host:5000/backend:1', frontend: `host:5000/frontend@${b}` };
  assert.equal(namedImages(configured, '2'), {
    backend: 'host:5000/backend:2',
    frontend: 'host:5000/frontend:2',
  });
  assert.equal(namedImages(configured, a), {
    backend: `host:5000/backend@${a}`,
    frontend: configured.frontend,
  });
  assert.equal(namedImages(configured, a, b).frontend, `host:5000/frontend@${b}`);
  for (const wrong of ['', 'a b', '-x', 'latest;reboot', 'sha256:abc', '../x', 'x'.repeat(129)])
    assert.throws(
      () => namedImages(configured, wrong === '' ? ' ' : wrong),
      /neither a tag nor a digest/,
      wrong,
    );
});

test('lines of an upstream list', () => {
  const line = 'server backend-1:3000 weight=5 max_fails=3 fail_timeout=0s route=backend-1 resolve;';
  assert.is(serviceOf(line), 'backend-1');
  assert.is(
    lineFor('backend-3', line),
    'server backend-3:3000 weight=1 max_fails=3 fail_timeout=0s route=backend-3 resolve;',
  );
  assert.is(down(line), line.replace(';', ' down;'));
  assert.is(down(down(line)), down(line));
  assert.equal([line, down(line), line.replace('resolve', 'down resolve')].map(isDown), [false, true, true]);
  assert.is(lineFor('backend-3', down(line)), lineFor('backend-3', line), 'one more serves');
});

test('when the traffic of a release is worse', () => {
  const before = { requests: 1000, errors: 2, p95: 0.1 };
  assert.is(worse(before, { requests: 1000, errors: 2, p95: 0.1 }), undefined);
  assert.is(worse(before, { requests: 4, errors: 4, p95: 0.1 }), undefined, 'too few to tell');
  assert.match(
    worse(before, { requests: 100, errors: 5, p95: 0.1 })!,
    /5 of 100 answers are 5xx \(5\.0 %; before: 0\.2 %\)/,
  );
  assert.is(
    worse({ ...before, errors: 100 }, { requests: 100, errors: 10, p95: 0.1 }),
    undefined,
    'as bad as before',
  );
  assert.match(
    worse(before, { requests: 100, errors: 0, p95: 0.5 })!,
    /take up to 0\.50 s \(before: 0\.10 s\)/,
  );
  assert.is(worse(before, { requests: 100, errors: 0, p95: 0.3 }), undefined, 'slower, but fast');
  assert.is(worse({ requests: 0, errors: 0, p95: 0 }, { requests: 5, errors: 0, p95: 9 }), undefined);
});

test.run();
