/** Every signal that could end what follows a deployment; test/integration/ssh-runs.test.ts has two of them. */
import { test } from 'uvu';
import { createSshPlaces } from '../../support/cli/ssh-places.ts';
import { survives } from '../../support/cli/ssh-signals.ts';

const { server, place, stop } = await createSshPlaces();

for (const signal of ['SIGHUP', 'SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGKILL'] as const)
  test(`${signal} to the follower of a deploy, and to its process group, does not reach the deploy`, () =>
    survives(server, place(), signal));

test('the server stops', stop);

test.run();
