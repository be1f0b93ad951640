/**
 * The order of a deployment's steps, and every way in which it can be cut off: kill -9 before and after a change, a signal
 * at a command, a command that fails. No visitor loses a request, and `--resume` and `--revert` finish from every point.
 * Docker and Nginx are a model (test/support/deploy/docker-model.ts); test/stack/ has some of the points with a real engine.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CUTS } from '../support/deploy/deployment-cuts.ts';
import { assertBack, assertEnd, SITUATIONS } from '../support/deploy/deployment-ends.ts';
import { NEW, newCase, OLD, type Situation } from '../support/deploy/deployment-model.ts';

test('a deployment, step by step', async () => {
  const c = await newCase({ migrations: ['expand'] });
  const run = await c.deploy();
  assert.equal(c.journaled, ['pull', 'backup', 'migrate', 'roll', 'bake']);
  assert.is(run.ended, 'done', run.said);
  assert.equal(run.changes, [
    ...[`pull ${NEW.backend}`, `pull ${NEW.frontend}`],
    ...[NEW.backend, NEW.frontend, OLD.backend, OLD.frontend].map(image => `hold ${image}`),
    ...['back up', 'migrate'],
    ...['reload', 'stop backend-1', 'start backend-1'],
    // Only the new instance is to serve: Nginx looks up its address first.
    ...['reload', 'reload', 'stop backend-2', 'start backend-2', 'reload'],
    ...['stop frontend-2', 'start frontend-2', 'reload', 'reload', 'stop frontend', 'start frontend'],
    ...['reload', 'reload', 'stop frontend-2', 'release images'],
  ]);
  await assertEnd(c, {}, NEW, 'done');
});

// At every one: test/long/integration/deploy-steps.test.ts.
for (const [index, [name, situation]] of Object.entries(SITUATIONS).entries())
  for (const [what, cut] of Object.entries(CUTS))
    test(`${name}: ${what} (every twentieth)`, () => cut(name, situation, at => at % 20 === 2 * index + 3));

/** @returns the number of a change, for a kill there */
const pointOf = async (situation: Situation, change: string) =>
  (await (await newCase(situation)).deploy()).points.indexOf(change);

test('killed twice: a new server is not the only one in the list before Nginx knows its address', async () => {
  const situation = { surge: 'backend-3' };
  const c = await newCase(situation);
  const first = await c.deploy({ at: await pointOf(situation, 'stop backend-1'), trouble: 'killed after' });
  assert.is(first.changes.at(-1), 'stop backend-1');
  const second = await c.finish('revert', { at: 3, trouble: 'killed after' });
  assert.equal(second.points, ['write production.deploy.json', 'reload', 'write backend.conf', 'reload']);
  assert.equal([second.ended, c.docker.listed('backend')], ['killed', ['backend-2']]);
  assert.is(c.journal()?.progress.step, 'revert', 'what the next run of a script says');
  const run = await c.finish('resume');
  assert.is(run.ended, 'done', run.said);
  await assertEnd(c, situation, NEW, run.said);
});

test('when an instance fails with all requests, the drained one gets them and is not replaced', async () => {
  const c = await newCase();
  const { shell, answer } = c.docker;
  assert.is(shell, undefined);
  let fallen = false;
  c.docker.shell = script => {
    if (!/backend-2:.*http_requests_in_flight/s.test(script)) return undefined;
    Object.assign(c.docker.containers.get('backend-1')!, { ready: false, restarts: 1 });
    fallen = true;
    return undefined;
  };
  const lists: string[][] = [];
  c.docker.answer = (...call) => {
    const answered = answer(...call);
    if (fallen && c.docker.changeOf(call[0]) === 'reload') lists.push(c.docker.listed('backend'));
    return answered;
  };
  const run = await c.deploy();
  assert.is(run.ended, 'rolled back', run.said);
  assert.match(run.said, /backend-1 failed while backend-2 was drained; backend-2 was not replaced/);
  assert.not(run.changes.includes('stop backend-2'));
  assert.equal(lists.slice(0, 2), [['backend-1', 'backend-2'], ['backend-2']]);
  for (const loss of c.docker.losses)
    assert.match(loss, /^the backend has no server that answers, after: (reload|write backend\.conf)$/);
  c.docker.losses.length = 0; // requests until the failure was noticed
  await assertEnd(c, {}, OLD, run.said);
});

for (const [looks, drains, ended] of [
  [1, 1, 'done'],
  [3, 1, 'done'],
  [4, 1, 'rolled back'],
  [1, 2, 'done'],
  [1, 3, 'rolled back'],
] as const)
  test(`an instance that is not ready at ${looks} looks in a row, ${drains} times while another is drained: ${ended}`, async () => {
    const c = await newCase();
    let bad = 0;
    let times = 0;
    c.docker.shell = script => {
      const isAsked = script.startsWith('curl') && script.includes('//backend-1:');
      if (/backend-2:.*http_requests_in_flight/s.test(script) && bad <= 0 && times < drains) {
        times++;
        bad = looks;
      } else if (isAsked && bad-- > 0)
        return { code: 22, stdout: '', stderr: 'The requested URL returned error: 503' };
      return undefined;
    };
    const run = await c.deploy();
    assert.is(times, drains);
    assert.is(run.ended, ended, run.said);
    const said = /backend-1 failed while backend-2 was drained/.test(run.said);
    assert.is(said, ended === 'rolled back', run.said);
    assert.equal(c.docker.losses, []);
  });

test('an instance that crashes at its first request and restarts at once has failed', async () => {
  const c = await newCase();
  const { answer } = c.docker;
  let crashed = false;
  c.docker.answer = (...call) => {
    const answered = answer(...call);
    const alone = c.docker.listed('backend').join() === 'backend-1';
    if (alone && !crashed) c.docker.containers.get('backend-1')!.restarts++;
    crashed ||= alone;
    return answered;
  };
  const run = await c.deploy();
  assert.ok(crashed);
  assert.is(run.ended, 'rolled back', run.said);
  assert.match(run.said, /backend-1 failed while backend-2 was drained; backend-2 was not replaced/);
  assert.not(run.changes.includes('stop backend-2'));
  await assertEnd(c, {}, OLD, run.said);
});

test('instances that crash whenever they have all requests are rolled back, whichever of them does', async () => {
  const c = await newCase();
  const first = await c.deploy({ at: await pointOf({}, 'start backend-2'), trouble: 'killed after' });
  assert.is(first.changes.at(-1), 'start backend-2');
  const { answer } = c.docker;
  c.docker.answer = (...call) => {
    const answered = answer(...call);
    const [name, ...others] = c.docker.listed('backend');
    const alone = others.length === 0 ? c.docker.containers.get(name!) : undefined;
    // Docker restarts it, and it is ready until the next request.
    if (alone?.image === NEW.backend) alone.restarts++;
    return answered;
  };
  const run = await c.finish('revert');
  assert.is(run.ended, 'rolled back', run.said);
  assert.match(run.said, /backend-2 failed while backend-1 was drained: replaced first/);
  // The deployment does not wait for one that crashes at its next request.
  for (const loss of c.docker.losses.splice(0)) assert.match(loss, /^backend-2 is stopped /);
  await assertEnd(c, {}, OLD, run.said);
});

// `docker system prune --all` removes the containers, too, that hold the images.
for (const direction of ['revert', 'resume'] as const) {
  for (const change of ['stop backend-1', 'stop backend-2', 'stop frontend']) {
    test(`without an image and a registry, --${direction} of a deployment killed before “${change}” removes nothing, and names the command that frees it`, async () => {
      const c = await newCase();
      assert.is(
        (await c.deploy({ at: await pointOf({}, change), trouble: 'killed before' })).ended,
        'killed',
      );
      c.docker.held.length = 0;
      for (const image of [...Object.values(OLD), ...Object.values(NEW)]) c.docker.images.delete(image);
      c.docker.registry = false;
      const before = [...c.docker.containers];
      let run = await c.finish(direction);
      for (let pulled = 0; run.ended === 'unfinished'; pulled++) {
        assert.ok(pulled < 4, run.said);
        assert.equal([...c.docker.containers], before);
        assert.is.not(c.journal(), undefined);
        assert.match(run.said, /failed too: could not pull \S+: .*refused$/m);
        assert.match(run.said, /Fix the cause, then run \S*deploy\.ts --revert/);
        const [, command] = /`(docker pull [^`]+)` must succeed first\./.exec(run.said) ?? [];
        c.docker.registry = true;
        assert.is(c.docker.answer(command!.split(' '), {}).code, 0);
        c.docker.registry = false;
        run = await c.finish('revert');
      }
      assert.is(run.ended, 'rolled back', run.said);
      await assertEnd(c, {}, OLD, run.said);
    });
  }
}

for (const fate of ['never ready', 'ends at once'] as const) {
  for (const image of [NEW.backend, NEW.frontend]) {
    for (const surge of [undefined, 'backend-3']) {
      test(`${image} ${fate}${surge ? ', with --surge' : ''}: it is rolled back`, async () => {
        const c = await newCase({ surge });
        c.docker.fates.set(image, fate);
        const run = await c.deploy();
        assert.is(run.ended, 'rolled back', run.said);
        const service = image === NEW.frontend ? 'frontend-2' : (surge ?? 'backend-1');
        const how =
          fate === 'never ready'
            ? String.raw`is not ready after 3 s: \S+ does not answer`
            : 'ended soon after its start';
        assert.match(run.said, new RegExp(`^${service} ${how}; last log lines:\n  the last line$`, 'm'));
        await assertEnd(c, {}, OLD, run.said);
      });
    }
  }

  test(`after a contracting migration, an instance that ${fate} is marked down`, async () => {
    const situation = { migrations: ['drop'], contracting: ['drop'] };
    const c = await newCase(situation);
    c.docker.fates.set(NEW.backend, fate);
    const run = await c.deploy();
    assert.is(run.ended, 'stopped', run.said);
    await assertBack(c, situation, run, fate);
    assert.equal(c.docker.listed('backend'), ['backend-2']);
    assert.match(c.read('nginx/upstreams/backend.conf'), /^server backend-1:.* down;$/m);
  });
}

test.run();
