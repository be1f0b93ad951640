/**
 * When a deployment believes that its release is bad: no single look decides, what was there before does not count, and an
 * end, a restart and Docker's own verdict count at once. What the judge makes of traffic is in test/deploy/judge.test.ts.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { canaryFails } from '../../scripts/lib/deploy/watch.ts';
import type { Visit } from '../../scripts/lib/nginx/access-log.ts';
import { assertEnd } from '../support/deploy/deployment-ends.ts';
import { type Case, NEW, newCase, OLD, type Situation } from '../support/deploy/deployment-model.ts';

/** Calls `act` whenever the deployment sleeps while Nginx has sent requests to `names` alone. */
function whileListed(c: Case, names: string, act: (turn: number) => void): void {
  const { sleep } = c.docker;
  let turn = 0;
  c.docker.sleep = seconds => {
    if (
      c.docker.listed('backend').join() === names &&
      c.docker.containers.get('backend-1')?.image === NEW.backend
    )
      act(turn++);
    sleep(seconds);
  };
}

const critical = (...looks: string[][]): Situation => ({ critical: looks });
const DATABASE = 'postgres (no connection in 5 s)';
const API = 'api (https://api.shop.test is not ready: database (503))';

for (const [name, looks, done] of [
  ['one look after the deployment is critical', [[], [API], []], true],
  [
    'three looks after the deployment are critical, and the fourth is not',
    [[], [API], [API], [API], []],
    true,
  ],
  ['all looks after the deployment are critical', [[], [API]], false],
  ['the looks find different things, one at a time', [[], [API], [DATABASE], [API], [DATABASE], []], true],
  ['it was critical before, in all looks', [[DATABASE]], true],
  ['one look before was a false alarm, and then the same fails', [[DATABASE], [], [DATABASE]], false],
  [
    'it was critical before with other numbers',
    [...Array(4).fill(['certificate (expires in 3 h)']), ['certificate (expires in 2 h; it is not renewed)']],
    true,
  ],
  [
    'another instance was critical before',
    [...Array(4).fill(['backend-1 (no answer in 5 s)']), ['backend-2 (no answer in 5 s)']],
    false,
  ],
  [
    'the same instance was critical before, for another reason',
    [...Array(4).fill(['backend-1 (its container is exited)']), ['backend-1 (not ready: database (503))']],
    false,
  ],
  [
    'another container was unhealthy before',
    [
      ...Array(4).fill(['containers (backup is unhealthy)']),
      ['containers (backup is unhealthy)', 'containers (frontend is unhealthy)'],
    ],
    false,
  ],
] as [string, string[][], boolean][]) {
  test(`${name}: the release ${done ? 'stays' : 'is rolled back'}`, async () => {
    const c = await newCase(critical(...looks));
    const run = await c.deploy();
    assert.is(run.ended, done ? 'done' : 'rolled back', run.said);
    if (!done) assert.match(run.said, `critical since the deployment: ${looks.at(-1)!.at(-1)}`);
    await assertEnd(c, {}, done ? NEW : OLD, run.said);
  });
}

test('a resumed deployment keeps what was critical before anything changed', async () => {
  const { points } = await (await newCase()).deploy();
  const c = await newCase(critical([], [API]));
  const first = await c.deploy({ at: points.indexOf('stop backend-1'), trouble: 'killed after' });
  assert.is(first.ended, 'killed');
  const run = await c.finish('resume');
  assert.is(run.ended, 'rolled back', run.said);
});

for (const image of [NEW.backend, NEW.frontend]) {
  const service = image === NEW.backend ? 'backend-1' : 'frontend-2';
  for (const [health, said] of [
    ['unhealthy', `${service} is unhealthy: what it printed`],
    ['starting', `${service} has not passed its health check after 3 s: what it printed`],
  ] as const) {
    test(`${image}: an instance that is ready and that Docker calls ${health} is rolled back`, async () => {
      const c = await newCase();
      c.docker.health.set(image, health);
      const run = await c.deploy();
      assert.is(run.ended, 'rolled back', run.said);
      assert.match(run.said, said);
      await assertEnd(c, {}, OLD, run.said);
    });
  }
}

test('on the way back readiness is enough: Docker’s health check may never have passed before', async () => {
  const c = await newCase();
  c.docker.health.set(OLD.backend, 'unhealthy');
  c.docker.health.set(OLD.frontend, 'unhealthy');
  c.docker.health.set(NEW.frontend, 'unhealthy');
  const run = await c.deploy();
  assert.is(run.ended, 'rolled back', run.said);
  await assertEnd(c, {}, OLD, run.said);
});

test('both releases serve while they are compared, and a healthy one goes through', async () => {
  const c = await newCase({ bake: 60 });
  c.docker.health.set(NEW.backend, 'healthy');
  let compared = 0;
  whileListed(c, 'backend-1,backend-2', () => {
    if (c.docker.containers.get('backend-2')!.image === OLD.backend) compared++;
  });
  const run = await c.deploy();
  assert.is(run.ended, 'done', run.said);
  assert.is(compared, 6, 'for 30 s, every 5 s');
  assert.match(run.said, /comparing 2 with the previous release for 30 s: both serve/);
  assert.match(run.said, /watching 2 for 60 s/);
  await assertEnd(c, {}, NEW, run.said);
});

for (const [what, harm, why] of [
  ['ends', { state: 'exited', ready: false }, /backend-1 has ended/],
  ['restarts', { restarts: 1 }, /backend-1 has restarted/],
  ['becomes unhealthy', { health: 'unhealthy' }, /backend-1 is unhealthy: what it printed/],
  ['is not ready, look after look', { ready: false }, /backend-1 is not ready, 3 times in a row/],
] as const) {
  for (const phase of ['compared', 'watched'] as const) {
    test(`an instance that ${what} while it is ${phase} is rolled back`, async () => {
      const c = await newCase({ bake: 60 });
      whileListed(c, 'backend-1,backend-2', turn => {
        const isOld = c.docker.containers.get('backend-2')!.image === OLD.backend;
        const isRolled = c.docker.containers.get('frontend')!.image === NEW.frontend;
        const serves = c.docker.listed('frontend').join() === 'frontend';
        if (turn >= 1 && (phase === 'compared' ? isOld : isRolled && serves))
          Object.assign(c.docker.containers.get('backend-1')!, harm);
      });
      const run = await c.deploy();
      assert.is(run.ended, 'rolled back', run.said);
      assert.match(run.said, why);
      assert.is(run.changes.includes('stop frontend'), phase === 'watched');
      assert.equal(c.docker.listed('backend'), ['backend-1', 'backend-2']);
      assert.is(c.docker.containers.get('backend-1')!.image, OLD.backend);
    });
  }
}

test('a restart before it is watched counts', async () => {
  const c = await newCase({ bake: 60 });
  const { answer } = c.docker;
  c.docker.answer = (...call) => {
    const answered = answer(...call);
    if (c.docker.changeOf(call[0]) === 'start frontend') c.docker.containers.get('backend-1')!.restarts++;
    return answered;
  };
  const run = await c.deploy();
  assert.is(run.ended, 'rolled back', run.said);
  assert.match(run.said, /backend-1 has restarted/);
});

test('an instance that is not ready in two looks of three stays', async () => {
  const c = await newCase({ bake: 60 });
  let looks = 0;
  c.docker.shell = script => {
    const comparing =
      c.docker.listed('backend').length === 2 &&
      c.docker.containers.get('backend-1')?.image === NEW.backend &&
      c.docker.containers.get('backend-2')?.image === OLD.backend;
    if (!comparing || !/^curl .*backend-1:3000.*ready$/.test(script)) return undefined;
    return { code: ++looks % 3 === 0 ? 0 : 7, stdout: '', stderr: '' };
  };
  const run = await c.deploy();
  assert.is(run.ended, 'done', run.said);
  assert.is(looks, 6);
});

test('a frontend that did not change is not judged', async () => {
  const c = await newCase({ bake: 60, frontend: false });
  whileListed(c, 'backend-1,backend-2', () => {
    Object.assign(c.docker.containers.get('frontend')!, { startedAt: 99, health: 'unhealthy' });
  });
  const run = await c.deploy();
  assert.is(run.ended, 'done', run.said);
});

test('the canary’s failures count from three more than before', () => {
  const count = (sent: number, failed: number) => ({
    ...{ sent, failed, slowest: 0, reopened: 0 },
    failures: Array(failed).fill('GET /x: HTTP 500'),
  });
  const fails = (...counts: [number, number][]) => {
    const [before, first, now] = counts.map(each => count(...each));
    return canaryFails(before!, first!, now!);
  };
  assert.is(fails([100, 0], [150, 0], [200, 2]), undefined);
  assert.match(fails([100, 0], [150, 0], [200, 3])!, /3 requests of the canary failed: GET \/x: HTTP 500/);
  assert.is(fails([100, 50], [200, 100], [300, 150]), undefined, 'a path that fails anyway');
  assert.match(fails([100, 50], [200, 100], [300, 200])!, /100 requests of the canary failed/);
  assert.match(fails([0, 0], [0, 0], [10, 3])!, /3 requests/);
});

for (const [release, image] of [
  ['new', NEW.backend],
  ['old', OLD.backend],
] as const) {
  for (const phase of ['compared', 'watched'] as const) {
    test(`errors of the ${release} release while it is ${phase}: it is ${release === 'new' ? 'rolled back' : 'let be'}`, async () => {
      let c: Case;
      // What several clients got from each instance, at its address.
      const visits = (): Visit[] =>
        ['backend-1', 'backend-2'].flatMap(name => {
          const { image: runs, startedAt } = c.docker.containers.get(name)!;
          const isRolled = c.docker.containers.get('frontend')!.image === NEW.frontend;
          const status = runs === image && isRolled === (phase === 'watched') ? 500 : 200;
          return Array.from({ length: 100 }, (_, i) => ({
            address: `10.9.0.${startedAt}`,
            time: Math.floor(Date.now() / 1000),
            client: `${i % 9}`,
            path: 'GET /api/v1/articles',
            status,
            seconds: 0.1,
          }));
        });
      c = await newCase({ bake: 60, visits });
      const run = await c.deploy();
      assert.is(run.ended, release === 'new' ? 'rolled back' : 'done', run.said);
      if (release === 'new')
        assert.match(run.said, /2 is worse than the previous release: \d+ of \d+ answers are 5xx/);
      assert.is(run.changes.includes('stop frontend'), release === 'old' || phase === 'watched');
    });
  }
}

test('errors of an instance that is gone are those of the old release', async () => {
  const visits = Array.from({ length: 100 }, (_, i) => ({
    ...{ address: '10.9.0.250', time: 0, client: `${i % 9}`, path: 'GET /', status: 500, seconds: 1 },
  }));
  const c = await newCase({ bake: 60, visits: () => visits });
  const run = await c.deploy();
  assert.is(run.ended, 'done', run.said);
});

test('an address that an old instance had before counts from the start of the new one', async () => {
  let c: Case;
  const before = (): Visit[] => {
    const container = c.docker.containers.get('backend-1')!;
    return Array.from({ length: 100 }, (_, i) => ({
      ...{
        address: `10.9.0.${container.startedAt}`,
        time: -10,
        client: `${i % 9}`,
        path: 'GET /',
        status: 500,
      },
    }));
  };
  c = await newCase({ bake: 60, visits: before });
  const run = await c.deploy();
  assert.is(run.ended, 'done', run.said);
});

test('what instances have answered that were gone before it is not the old release’s: a bad one may have been taken back', async () => {
  let c: Case;
  const answers = (address: string, status: number): Visit[] =>
    Array.from({ length: 100 }, (_, i) => ({
      address,
      time: Math.floor(Date.now() / 1000),
      client: `${i % 9}`,
      path: 'GET /api/v1/articles',
      status,
      seconds: 0.1,
    }));
  const visits = () =>
    answers('10.9.0.99', 500).concat(
      ['backend-1', 'backend-2'].flatMap(name => {
        const { image, startedAt } = c.docker.containers.get(name)!;
        return answers(`10.9.0.${startedAt}`, image === NEW.backend ? 500 : 200);
      }),
    );
  c = await newCase({ bake: 60, visits });
  const run = await c.deploy();
  assert.is(run.ended, 'rolled back', run.said);
  assert.match(run.said, /answers are 5xx.*; the previous release: 0\.0 %/);
});

test.run();
