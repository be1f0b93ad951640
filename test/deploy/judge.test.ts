/**
 * What the judge makes of generated traffic: which releases it lets pass, which it refuses, and from when on it sees an
 * error. Each scene is judged with 20 seeds, as while both releases serve and as after each other.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { chance } from '../../scripts/lib/deploy/chance.ts';
import { regression, routeOf } from '../../scripts/lib/deploy/judge.ts';
import type { Visit } from '../../scripts/lib/nginx/access-log.ts';
import { type Scene, traffic } from '../support/deploy/traffic.ts';

const SEEDS = Array.from({ length: 20 }, (_, seed) => seed);

/** @returns how many of 20 are refused, and the reasons */
function judged(scene: Partial<Scene>, together: boolean): { refused: number; reasons: string[] } {
  const reasons = SEEDS.flatMap(seed => {
    const { old, fresh } = traffic({ ...scene, seed });
    return regression(old, fresh, together) ?? [];
  });
  return { refused: reasons.length, reasons };
}

const both = (scene: Partial<Scene>) => [judged(scene, true), judged({ factor: 8, ...scene }, false)];

/** Requests of one client, of which a share fails. */
const attack =
  (share: number, more: Partial<Visit> = {}) =>
  (_: string, random: () => number) =>
    Array.from({ length: 300 }, () => ({
      client: 'attacker',
      path: 'POST /api/v1/orders',
      status: random() < share ? 500 : 200,
      ...more,
    }));
const only =
  (release: 'old' | 'new', make: Scene['also']): Scene['also'] =>
  (each, random) =>
    each === release ? make(each, random) : [];

const GOOD: Record<string, Partial<Scene>> = {
  'like the old one': {},
  'with 2 % errors, as before': { noise: 0.02 },
  'with 20 % errors, as before': { noise: 0.2 },
  'on a machine that slows both': { load: 30 },
  'with 10 requests': { requests: 10 },
  'with 10 requests of 2 clients, and 1 before': { requests: 10, clients: 2, factor: 0.1 },
  'without traffic': { requests: 0 },
  'with 4,000 requests': { requests: 4000 },
  'with one client who makes each request fail': { also: attack(1) },
  'with one client who makes each second request fail': { also: attack(0.5) },
  'with one client who makes requests take long': { also: attack(0, { seconds: 5 }) },
  'with two clients who make requests fail': {
    also: (release, random) => [
      ...attack(1)(release, random),
      ...attack(1, { client: 'another' })(release, random),
    ],
  },
  'with ten clients whose requests fail in both': {
    also: release =>
      Array.from({ length: release === 'old' ? 800 : 100 }, (_, i) => ({
        client: `broken ${i % 10}`,
        status: 500,
      })),
  },
  'with one client who finds an error on a new path': {
    also: (release, random) =>
      attack(1, { path: 'POST /api/v1/new', status: release === 'old' ? 404 : 500 })(release, random),
  },
  'with an office behind one address, slower than others': {
    also: () => Array.from({ length: 200 }, () => ({ client: 'office', seconds: 3 })),
  },
};

for (const [name, scene] of Object.entries(GOOD)) {
  test(`a good release ${name} passes, 20 of 20 times`, () => {
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

const at = (path: string, change: Partial<Visit>) => (visit: Visit) => (visit.path === path ? change : {});
const BAD: Record<string, [Partial<Scene>, RegExp]> = {
  'fails everywhere': [
    { change: () => ({ status: 500 }) },
    /^\d+ of \d+ answers are 5xx \(100\.0 %, clients: \d+; /,
  ],
  'fails for 5 %': [
    { requests: 1000, change: (_, random) => (random() < 0.05 ? { status: 503 } : {}) },
    /5xx/,
  ],
  'fails for 2 %': [
    { requests: 3000, change: (_, random) => (random() < 0.02 ? { status: 500 } : {}) },
    /5xx/,
  ],
  'fails on one route': [{ requests: 200, change: at('POST /api/v1/orders', { status: 500 }) }, /5xx/],
  'fails on one route of many requests': [
    {
      requests: 4000,
      change: (visit, random) =>
        visit.path === 'POST /api/v1/orders' && random() < 0.05 ? { status: 500 } : {},
    },
    /5xx/,
  ],
  'fails for those who are logged in': [
    { requests: 200, change: at('GET /api/v1/me', { status: 500 }) },
    /5xx/,
  ],
  'is slow on one route': [
    { change: at('GET /api/v1/articles', { seconds: 2.5 }) },
    /^\d+ of \d+ answers take more than [\d.]+ s for GET \/api\/v1\/articles \(/,
  ],
  'is slow everywhere': [{ change: () => ({ seconds: 3 }) }, /take more than/],
  'fails, and one client made the old one fail': [
    { also: only('old', attack(1)), change: (_, random) => (random() < 0.3 ? { status: 500 } : {}) },
    /5xx/,
  ],
  'fails on a route that the old one does not have': [
    {
      also: (release, random) =>
        Array.from({ length: 40 }, () => ({
          client: `client ${Math.floor(random() * 50)}`,
          path: 'GET /api/v1/new',
          status: release === 'old' ? 404 : 500,
        })),
    },
    /5xx/,
  ],
};

for (const [name, [scene, why]] of Object.entries(BAD)) {
  test(`a release that ${name} is refused, 20 of 20 times`, () => {
    for (const { refused, reasons } of both(scene)) {
      assert.is(refused, 20);
      for (const reason of reasons) assert.match(reason, why);
    }
  });
}

test('without any traffic of the old release, errors of several clients are seen', () => {
  const scene = { factor: 0, requests: 30, clients: 10, change: () => ({ status: 500 }) };
  for (const { refused } of both(scene)) assert.is(refused, 20);
});

test('one client is enough where both serve: what fails with the new release and not with the old one is seen', () => {
  const one: Partial<Scene> = { clients: 1, requests: 100 };
  assert.is(judged({ ...one, change: () => ({ status: 500 }) }, true).refused, 20);
  assert.is(judged({ ...one, change: () => ({ seconds: 4 }) }, true).refused, 20);
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
    assert.is(seen(requests, share), 20, `${share} of ${requests}`);
  assert.ok(seen(100, 0.05) < 20, 'too few to tell');
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
