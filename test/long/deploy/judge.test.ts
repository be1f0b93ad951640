/** What the judge makes of generated traffic, with 20 seeds for each scene. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { attack, BAD, both, GOOD, judged as judgedOf, only } from '../../support/deploy/judged.ts';
import type { Scene } from '../../support/deploy/traffic.ts';

const SEEDS = 20;
const judged = (scene: Partial<Scene>, together: boolean) => judgedOf(scene, together, SEEDS);

for (const [name, scene] of Object.entries(GOOD)) {
  test(`a good release ${name} passes, 20 of 20 times`, () => {
    for (const { refused, reasons } of both(scene, SEEDS)) assert.is(refused, 0, reasons[0]);
  });
}

for (const [name, [scene, why]] of Object.entries(BAD)) {
  test(`a release that ${name} is refused, 20 of 20 times`, () => {
    for (const { refused, reasons } of both(scene, SEEDS)) {
      assert.is(refused, 20);
      for (const reason of reasons) assert.match(reason, why);
    }
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

test('without any traffic of the old release, errors of several clients are seen', () => {
  const scene = { factor: 0, requests: 30, clients: 10, change: () => ({ status: 500 }) };
  for (const { refused } of both(scene, SEEDS)) assert.is(refused, SEEDS);
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

test.run();
