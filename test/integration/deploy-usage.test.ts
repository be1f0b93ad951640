/** What deploy.ts, rollback.ts and scale.ts refuse by their arguments and their state alone. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Ended, startScript } from '../support/world.ts';

/** Runs a script where nothing was deployed yet, and where every call of docker fails. */
async function run(script: string, args: string[]): Promise<Ended & { state: string[] }> {
  const directory = mkdtempSync(join(tmpdir(), 'never-deployed-'));
  try {
    const ended = await startScript(script, args, {
      PATH: '/usr/bin:/bin',
      HOME: directory,
      DOCKER_HOST: `unix://${directory}/nobody.sock`,
      STATE_DIR: join(directory, 'state'),
      LOG_DIR: join(directory, 'logs'),
      BACKEND_IMAGE: 'registry.example/shop/backend:1',
      FRONTEND_IMAGE: 'registry.example/shop/frontend:1',
    }).ended;
    const state = readdirSync(directory, { recursive: true }).map(String);
    return {
      ...ended,
      state: state.filter(path => !/\.(lock|log)$|history\.jsonl$|^(state|logs)$/.test(path)),
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('wrong arguments are usage errors and change nothing', async () => {
  await Promise.all(
    (
      [
        ['deploy', ['--yes'], /the tag or digest to deploy is missing/],
        ['deploy', ['a b', '--yes'], /neither a tag nor a digest/],
        ['deploy', ['2.0.0'], /no terminal to confirm/],
        ['deploy', ['2.0.0', '--skip-backup', '--yes'], /--skip-backup needs a reason/],
        ['deploy', ['--resume', '--yes'], /no deployment was interrupted/],
        ['rollback', ['--yes'], /no release before this one/],
        ['rollback', ['v0.1', '--yes'], /no release v0\.1 to go back to/],
        ['scale', ['1'], /from 2 to 8/],
        ['scale', ['9'], /from 2 to 8/],
      ] as const
    ).map(async ([script, args, message]) => {
      const { code, stderr, state } = await run(script, [...args]);
      assert.is(code, 2, stderr);
      assert.match(stderr, message);
      assert.equal(state, []);
    }),
  );
});

test('rollback.ts --list says that nothing was deployed yet', async () => {
  const { code, stdout, stderr } = await run('rollback', ['--list']);
  assert.is(code, 0, stderr);
  assert.match(stdout, /nothing was deployed yet/);
});

test.run();
