/**
 * What the judge makes of generated traffic: which releases it lets pass, which it refuses, and from when on it sees an
 * error. Each scene is judged with several seeds, as while both releases serve and as after each other.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { chance } from '../../scripts/lib/deploy/chance.ts';
import { routeOf } from '../../scripts/lib/deploy/judge.ts';
import { attack, BAD, both, GOOD, judged, only, SEEDS } from '../support/deploy/judged.ts';
import type { Scene } from '../support/deploy/traffic.ts';

for (const [name, scene] of Object.entries(GOOD)) {
  test(`a good release ${name} passes, each time`, () => {
    for (const { refused, reasons } of both(scene)) assert.is(refused, 0, reasons[0]);
  });
}

test('a client who waits until only the new release serves, and then provokes errors, does not stop it', () => {
  for (const make of [attack(1), attack(0.5), attack(0, { seconds: 9 })]) {
    const { refused, reasons } = judged({ factor: 8, also: only('new', make) }, false);
    assert.is(refused, 0, reasons[0]);
  }
});

test('a machine that becomes busy when only the new release serves does not stop it', () => {
  const { refused, reasons } = judged(
    { factor: 8, change: ({ seconds = 0 }) => ({ seconds: seconds * 3 }) },
    false,
  );
  assert.is(refused, 0, reasons[0]);
});

for (const [name, [scene, why]] of Object.entries(BAD)) {
  test(`a release that ${name} is refused, each time`, () => {
    for (const { refused, reasons } of both(scene)) {
      assert.is(refused, SEEDS);
      for (const reason of reasons) assert.match(reason, why);
    }
  });
}

test('without any traffic of the old release, errors of several clients are seen', () => {
  const scene = { factor: 0, requests: 30, clients: 10, change: () => ({ status: 500 }) };
  for (const { refused } of both(scene)) assert.is(refused, SEEDS);
});

test('one client is enough where both serve: what fails with the new release and not with the old one is seen', () => {
  const one: Partial<Scene> = { clients: 1, requests: 100 };
  assert.is(judged({ ...one, change: () => ({ status: 500 }) }, true).refused, SEEDS);
  assert.is(judged({ ...one, change: () => ({ seconds: 4 }) }, true).refused, SEEDS);
  assert.is(
    judged({ ...one, change: () => ({ status: 500 }) }, false).refused,
    0,
    'it could have provoked them',
  );
});

test('what the smallest share of errors is that is always seen, by the number of requests', () => {
  const seen = (requests: number, share: number) =>
    judged({ requests, noise: 0, change: (_, random) => (random() < share ? { status: 500 } : {}) }, true)
      .refused;
  // docs/PRODUCTION_INFRASTRUCTURE.md has these.
  for (const [requests, share] of [
    [100, 0.3],
    [300, 0.12],
    [1000, 0.05],
    [3000, 0.025],
  ] as const)
    assert.is(seen(requests, share), SEEDS, `${share} of ${requests}`);
  assert.ok(seen(100, 0.05) < SEEDS, 'too few to tell');
});

test('routes are methods and paths without what names one thing', () => {
  assert.is(routeOf('GET /api/v1/Articles/42/'), 'GET /api/v1/articles/:id');
  assert.is(
    routeOf('GET /api/v1/orders/0a1b2c3d-0000-4000-8000-000000000000/items'),
    'GET /api/v1/orders/:id/items',
  );
  assert.is(routeOf('POST /'), 'POST /');
});

test('the chance of a difference is Fisher’s', () => {
  const near = (actual: number, expected: number) =>
    assert.ok(Math.abs(actual / expected - 1) < 1e-6, `${actual} is not ${expected}`);
  near(chance(3, 3, 0, 3), 1 / 20);
  near(chance(3, 4, 1, 4), 17 / 70); // the lady tasting tea
  near(chance(0, 5, 3, 5), 1);
  near(chance(10, 10, 0, 10), 1 / 184756);
  assert.ok(chance(50, 100_000, 50, 100_000) > 0.5);
  assert.ok(chance(200, 100_000, 50, 100_000) < 1e-12);
});

test.run();
