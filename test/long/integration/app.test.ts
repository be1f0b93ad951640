/* One more variant of the reference application; test/integration/app.test.ts has the others. */
import { test } from 'uvu';
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

test.run();
