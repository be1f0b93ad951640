/* More variants of the reference application; test/integration/app.test.ts has the others. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Backend, startAppWorld } from '../../support/app/app.ts';
import { send } from '../../support/app/load.ts';
import { until } from '../../support/core/world.ts';

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
