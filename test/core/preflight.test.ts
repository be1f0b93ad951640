/* All problems at once, and one problem once: a server without Docker is not nine faults. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OperationalError, textOf } from '../../scripts/lib/core/errors.ts';
import { preflight } from '../../scripts/lib/core/preflight.ts';

/** @returns what is shown of checks that fail with these messages, and hints that their own checks gave */
async function shownOf(...messages: string[]): Promise<string> {
  const checks = messages.map(message => async () => {
    throw new OperationalError(message, 'a hint of the check.');
  });
  try {
    await preflight(...checks);
  } catch (error) {
    return textOf(error as OperationalError);
  }
  throw new Error('it was accepted');
}

const DOWN =
  'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?';
const DENIED = 'permission denied while trying to connect to the docker API at unix:///var/run/docker.sock';

test('different problems are listed, each with its advice', async () => {
  assert.is(
    await shownOf('a is wrong', 'b is wrong'),
    '2 problems found; nothing was changed:\n  - a is wrong\n    → a hint of the check.' +
      '\n  - b is wrong\n    → a hint of the check.\n  → correct them and run it again.',
  );
  assert.match(await shownOf('a is wrong', 'a is wrong'), /^2 problems found/);
});

test('Docker does not run, is not there, or refuses this user: one problem, with what to do about that', async () => {
  for (const [said, advice] of [
    [DOWN, /^docker: .*\n {2}→ Docker does not answer: `systemctl status docker`/],
    [DENIED, /^docker: .*\n {2}→ run as root, or add this user to the group docker/],
    ['/usr/bin/bash: line 1: docker: command not found', /\n {2}→ install Docker, or correct PATH\.$/],
    ['sh: 1: docker: not found', /\n {2}→ install Docker, or correct PATH\.$/],
  ] as const) {
    const shown = await shownOf(
      `could not look: ${said}`,
      `could not test: ${said}`,
      `could not find x:1: ${said}`,
    );
    assert.match(`docker: ${shown}`, advice);
    assert.match(shown, /^could not look: .*; 2 more checks failed for this reason\n/);
  }
  const mixed = await shownOf('there is no docker on PATH', 'sh: 1: docker: not found', 'a is wrong');
  assert.match(
    mixed,
    /^2 problems found.*\n {2}- there is no docker on PATH; 1 more check failed for this reason\n/,
  );
});

test('each missing container is one problem', async () => {
  const missing = (name: string) => `could not ask: Error response from daemon: No such container: ${name}`;
  const shown = await shownOf(missing('shop-nginx'), missing('shop-postgres'), missing('shop-nginx'));
  assert.match(shown, /^2 problems found/);
  assert.match(
    shown,
    /No such container: shop-nginx; 1 more check failed for this reason\n {4}→ start the stack/,
  );
  assert.match(shown, /No such container: shop-postgres\n {4}→ a hint of the check/);
});

test.run();
