/** What deploy.ts, rollback.ts and scale.ts refuse by their arguments and their state alone. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig, ROOT } from '../../scripts/lib/config/config.ts';
import { commandOf, runHere } from '../support/cli/commands.ts';
import { refused } from '../support/core/in-process.ts';
import { startScript } from '../support/core/world.ts';

/** A place where nothing was ever deployed, and where there is no docker: every call of it fails. */
async function inNewPlace(body: (env: Record<string, string>) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'never-deployed-'));
  try {
    await body({
      PATH: '/usr/bin:/bin',
      HOME: directory,
      DOCKER_HOST: `unix://${directory}/nobody.sock`,
      STATE_DIR: join(directory, 'state'),
      LOG_DIR: join(directory, 'logs'),
      BACKEND_IMAGE: 'registry.example/shop/backend:1',
      FRONTEND_IMAGE: 'registry.example/shop/frontend:1',
    });
    const left = readdirSync(directory, { recursive: true }).map(String);
    const own = /\.(lock|log)$|history\.jsonl$|^(state|logs)$/;
    assert.equal(
      left.filter(path => !own.test(path)),
      [],
      'it leaves nothing behind',
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('arguments that mean nothing are usage errors, and leave nothing behind', async () => {
  const cases: [script: string, args: string[], message: RegExp][] = [
    ['deploy', ['--yes'], /the tag or digest to deploy is missing/],
    ['deploy', [], /the tag or digest to deploy is missing/],
    ['deploy', ['--resolve', 'add_users'], /the tag or digest to deploy is missing/],
    ['deploy', ['a b', '--yes'], /neither a tag nor a digest/],
    ['deploy', ['2.0.0'], /no terminal to confirm/],
    ['deploy', ['2.0.0', '--skip-backup', '--yes'], /--skip-backup needs a reason/],
    ['deploy', ['--resume', '--yes'], /no deployment was interrupted/],
    ['rollback', ['--yes'], /no earlier release/],
    ['rollback', [], /no earlier release/],
    ['rollback', ['v0.1', '--yes'], /no release v0\.1 to go back to/],
    ['scale', ['1'], /from 2 to 8/],
    ['scale', ['9'], /from 2 to 8/],
  ];
  for (const [script, args, message] of cases) {
    const command = await commandOf(join(ROOT, `scripts/${script}.ts`));
    await inNewPlace(async env => {
      await refused(() => runHere(command, args, loadConfig('production', env)), 2, message);
    });
  }
});

test('as a process: exit 2', () =>
  inNewPlace(async env => {
    const { code, stderr } = await startScript('rollback', ['--yes'], env).ended;
    assert.is(code, 2, stderr);
    assert.match(stderr, /no earlier release\n {2}→ /);
  }));

test('rollback.ts --list says that nothing has been deployed', () =>
  inNewPlace(async env => {
    const { code, stdout, stderr } = await startScript('rollback', ['--list'], env).ended;
    assert.is(code, 0, stderr);
    assert.match(stdout, /nothing has been deployed yet/);
  }));

test.run();
