/* An instance that leaves under a crowd that never pauses; test/integration/app-leaving.test.ts has a small one. */
import { test } from 'uvu';
import { type Backend, startAppWorld } from '../../support/app/app.ts';
import { leaveUnderLoad } from '../../support/app/leaving.ts';

for (const turn of [1, 2, 3])
  test(`SIGTERM under load, ${turn}: not ready, still serving, nothing lost, exit 0`, async () => {
    const world = await startAppWorld();
    try {
      const instances = ['backend-1', 'backend-2'].map(INSTANCE_ID => ({
        INSTANCE_ID,
        SHUTDOWN_LINGER_MS: '3000',
      }));
      const [leaving, staying] = (await world.start(...instances)) as [Backend, Backend];
      await leaveUnderLoad(leaving, staying, world.database, { clients: 32, pause: 0, lasting: 6000 });
    } finally {
      await world.stop();
    }
  });

test.run();
