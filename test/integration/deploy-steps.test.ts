/**
 * The order of a deployment's steps, and every way in which it can be cut off: ended by kill -9 before and after each
 * change, interrupted at each command, with each of them failing. Nobody who uses the site loses a request, and
 * `--resume` and `--revert` get to an end from everywhere. Docker and Nginx are a model of them
 * (test/support/docker-model.ts); the same with a real engine, at some of the points, is in test/stack/.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Case, NEW, newCase, OLD, type Run, type Situation } from '../support/deployment-model.ts';

const SITUATIONS: Record<string, Situation> = {
  'two instances and a migration': { migrations: ['expand'] },
  'one instance more meanwhile': { surge: 'backend-3' },
  'three instances, of which one is not ready': {
    servers: ['backend-1', 'backend-2', 'backend-3'],
    unready: ['backend-2'],
  },
  'the frontend stays': { frontend: false },
  'a migration that takes something away, and one instance more': {
    migrations: ['drop'],
    contracting: ['drop'],
    surge: 'backend-3',
  },
};

/** Asserts that all of it runs these images and serves, that the lists are as before, and that nothing is left. */
async function assertEnd(c: Case, situation: Situation, images: typeof OLD, where: string): Promise<void> {
  const { servers = ['backend-1', 'backend-2'], frontend = true } = situation;
  const served = frontend ? images : { ...images, frontend: OLD.frontend };
  assert.equal(
    c.state(),
    {
      lists: c.lists,
      loaded: [servers, ['frontend']],
      services: {
        ...Object.fromEntries(servers.map(name => [name, served.backend])),
        frontend: served.frontend,
      },
      env: `BACKEND_IMAGE=${served.backend}\nFRONTEND_IMAGE=${served.frontend}\n`,
    },
    where,
  );
  assert.is(await c.journal(), undefined, where);
  assert.equal(c.docker.losses, [], where);
}

/** The same for one that goes back, or stops past a migration with which it can't. */
async function assertBack(c: Case, situation: Situation, run: Run, where: string): Promise<void> {
  assert.equal(c.docker.losses, [], where);
  const migrated = c.docker.changes.includes('migrate');
  const last = JSON.parse(c.read('state/releases.jsonl').trim().split('\n').at(-1)!);
  assert.equal(last.migrations, migrated ? situation.migrations : [], where);
  if (migrated && situation.contracting) {
    assert.is(run.ended, 'stopped', `${where}\n${run.said}`);
    assert.match(run.said, /not rolled back: drop changed the schema/, where);
    assert.match(run.said, /rollback\.ts --with-database \w+$/m, where);
    const serving = c.docker.listed('backend').map(name => c.docker.containers.get(name)?.ready);
    assert.ok(serving.length > 0 && serving.every(Boolean), where);
    assert.is(await c.journal(), undefined, where);
    return;
  }
  assert.is(run.ended, 'rolled back', `${where}\n${run.said}`);
  // Whoever was not ready before, and was not come to, is not ready after.
  const replaced = run.changes.some(change => change.startsWith('stop backend'));
  for (const [name, each] of c.docker.containers)
    assert.ok(each.ready || (situation.unready?.includes(name) && !replaced), where);
  await assertEnd(c, situation, OLD, where);
}

const listedOnDisk = (c: Case) =>
  [...c.read('nginx/upstreams/backend.conf').matchAll(/^server ([\w-]+):(?!.* down\b)/gm)].map(
    ([, name]) => name,
  );

test('a deployment, step by step', async () => {
  const c = await newCase({ migrations: ['expand'] });
  const run = await c.deploy();
  assert.is(run.ended, 'done', run.said);
  assert.equal(run.changes, [
    ...[`pull ${NEW.backend}`, `pull ${NEW.frontend}`, 'back up', 'migrate'],
    ...['reload', 'stop backend-1', 'start backend-1'],
    // The new one is the only one that is to serve: Nginx gets to know its address first.
    ...['reload', 'reload', 'stop backend-2', 'start backend-2', 'reload'],
    ...['stop frontend-2', 'start frontend-2', 'reload', 'reload', 'stop frontend', 'start frontend'],
    ...['reload', 'reload', 'stop frontend-2'],
  ]);
  await assertEnd(c, {}, NEW, 'done');
});

for (const [name, situation] of Object.entries(SITUATIONS)) {
  test(`${name}: ended by kill -9 before and after each change, then --resume or --revert`, async () => {
    const { ended, changes, said } = await (await newCase(situation)).deploy();
    assert.is(ended, 'done', said);
    for (const [at, change] of changes.entries()) {
      for (const trouble of ['killed before', 'killed after'] as const) {
        for (const direction of ['resume', 'revert'] as const) {
          const where = `${name}, ${trouble} change ${at} (${change}), ${direction}`;
          const c = await newCase(situation);
          assert.is((await c.deploy({ at, trouble })).ended, 'killed', where);
          assert.is.not(await c.journal(), undefined, where);
          const run = await c.finish(direction);
          if (direction === 'revert') await assertBack(c, situation, run, where);
          else {
            assert.is(run.ended, 'done', `${where}\n${run.said}`);
            await assertEnd(c, situation, NEW, where);
          }
        }
      }
    }
  });

  test(`${name}: a signal at any command takes it back`, async () => {
    const { commands } = await (await newCase(situation)).deploy();
    let taken = 0;
    for (let at = 0; at < commands; at++) {
      const where = `${name}, SIGINT at command ${at}`;
      const c = await newCase(situation);
      const run = await c.deploy({ at, trouble: 'SIGINT' });
      if (run.ended === 'done') {
        await assertEnd(c, situation, NEW, where);
        continue;
      }
      taken++;
      assert.is(run.exitCode, 130, where);
      await assertBack(c, situation, run, where);
    }
    assert.ok(taken >= commands - 15, `${taken} of ${commands}: all but the last look at what is done`);
  });

  test(`${name}: any command that fails takes it back, or is none that matters`, async () => {
    const { commands } = await (await newCase(situation)).deploy();
    let taken = 0;
    for (let at = 0; at < commands; at++) {
      const where = `${name}, command ${at} fails`;
      const c = await newCase(situation);
      const run = await c.deploy({ at, trouble: 'fails' });
      // The look at its count of requests has failed, and it is stopped all the same.
      if (/still answers requests after 125 s, or does not count them/.test(run.said))
        assert.match(
          c.docker.losses.pop()!,
          /^backend-\d is stopped and nobody has looked whether it still answers$/,
        );
      if (run.ended === 'done') {
        await assertEnd(c, situation, NEW, where);
        continue;
      }
      taken++;
      assert.is(run.exitCode, 1, where);
      await assertBack(c, situation, run, where);
    }
    assert.ok(taken > commands / 2, `${taken} of ${commands}`);
  });

  for (const trouble of ['fails from then on', 'Nginx refuses its files'] as const) {
    test(`${name}: ${trouble}: those serve that did, and --revert finishes when it is mended`, async () => {
      const { commands } = await (await newCase(situation)).deploy();
      let unfinished = 0;
      for (let at = 0; at < commands; at++) {
        const where = `${name}, ${trouble}: command ${at}`;
        const c = await newCase(situation);
        const run = await c.deploy({ at, trouble });
        assert.equal(c.docker.losses, [], where);
        if (run.ended !== 'unfinished') continue;
        unfinished++;
        assert.match(run.said, /going back to the release before failed as well: /, where);
        assert.is.not(await c.journal(), undefined, where);
        // What is refused is taken back, so that any later reload loads what serves.
        if (c.docker.refused && !run.met.includes('nginx -s reload'))
          assert.equal(listedOnDisk(c), c.docker.listed('backend'), where);
        c.docker.refused = false;
        await assertBack(c, situation, await c.finish('revert'), where);
      }
      assert.ok(unfinished > 10, `${unfinished} of ${commands}`);
    });
  }
}

for (const fate of ['never ready', 'ends at once'] as const) {
  for (const image of [NEW.backend, NEW.frontend]) {
    for (const surge of [undefined, 'backend-3']) {
      test(`${image} ${fate}${surge ? ', with one instance more' : ''}: it is taken back`, async () => {
        const c = await newCase({ surge });
        c.docker.fates.set(image, fate);
        const run = await c.deploy();
        assert.is(run.ended, 'rolled back', run.said);
        const service = image === NEW.frontend ? 'frontend-2' : (surge ?? 'backend-1');
        const how = fate === 'never ready' ? 'is not ready after 0 s' : 'ended soon after its start';
        assert.match(run.said, new RegExp(`^${service} ${how}; its last words:\n  the last words$`, 'm'));
        await assertEnd(c, {}, OLD, run.said);
      });
    }
  }

  test(`past a migration that takes something away, an instance that ${fate} is marked down`, async () => {
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
