/* More variants of the reference application; test/integration/app.test.ts has the others. */
import { randomUUID } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Backend, migrate, startAppWorld } from '../../support/app/app.ts';
import { send } from '../../support/app/load.ts';
import { until } from '../../support/core/world.ts';

test('variants: version 2 beside version 1, and one that crashes under traffic', async () => {
  const world = await startAppWorld();
  const order = (backend: Backend, body: unknown) =>
    send('POST', `${backend.url}/orders`, { body: JSON.stringify(body) });
  try {
    const [one] = (await world.start({})) as [Backend];
    await migrate(world.database.url, 'v2'); // version 1 keeps running
    const [second, crashing] = (await world.start(
      { APP_VARIANT: 'v2', APP_VERSION: '2.0.0' },
      { APP_VARIANT: 'crash-under-traffic', CRASH_AFTER_REQUESTS: '3' },
    )) as [Backend, Backend];
    assert.is(JSON.parse((await send('GET', `${second.url}/health`)).body).version, '2.0.0');
    const id = randomUUID();
    await order(second, { id, note: 'gift' });
    assert.is(await world.database.sql(`SELECT note FROM orders WHERE id = '${id}'`), 'gift');
    assert.is((await order(one, { id: randomUUID() })).status, 201);

    const answer = (path: string) => send('GET', crashing.url + path);
    for (let i = 0; i < 3; i++) assert.is((await answer('/articles')).status, 200);
    await until('it is ready', async () => (await answer('/health/ready')).status === 200);
    const failure = await answer('/articles').then(
      () => 'answered',
      error => error.code,
    );
    assert.is(failure, 'ECONNRESET');
    assert.equal(await crashing.exited, { code: 1, signal: null });
    await second.stop();
  } finally {
    await world.stop();
  }
});

test('a variant that fails after some time: only its answers show it', async () => {
  const world = await startAppWorld();
  try {
    const variant = { APP_VARIANT: 'errors-after-a-minute', ERRORS_AFTER_SECONDS: '1' };
    const [failing] = (await world.start(variant)) as [Backend];
    const answers = async (path: string) => (await send('GET', failing.url + path)).status;
    await until('it fails', async () => (await answers('/articles')) === 500);
    await until('it is ready', async () => (await answers('/health/ready')) === 200);
  } finally {
    await world.stop();
  }
});

test('a variant that is alive and never ready', async () => {
  const world = await startAppWorld();
  try {
    const [neverReady] = (await world.start({ APP_VARIANT: 'never-ready' })) as [Backend];
    const { url } = neverReady;
    assert.is((await send('GET', `${url}/health`)).status, 200);
    await until('only its variant keeps it from being ready', async () => {
      const { status, body } = await send('GET', `${url}/health/ready`);
      assert.is(status, 503);
      return JSON.parse(body).failed.join() === 'variant';
    });
  } finally {
    await world.stop();
  }
});

test.run();
