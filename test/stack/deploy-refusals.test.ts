/**
 * What a deployment, a rollback and a change of scale refuse before they change anything, and the failures that come
 * before an instance is replaced: the previous release keeps serving. What needs no stack to be refused is
 * in test/integration/deploy-usage.test.ts.
 */
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fill, withDisk } from '../support/core/disk.ts';
import { until } from '../support/core/world.ts';
import { assertEnded, assertHealthy, assertNothingLeft, everything, releases } from './lib/deploy-state.ts';
import { startDeployable, UNSAVED } from './lib/deployable.ts';
import { withMemory } from './lib/memory.ts';
import { reload } from './lib/puppet.ts';
import { markRolledBack, sql, whileVisited } from './lib/visitor.ts';

const d = await startDeployable();
const { stack, registry, application } = d;
const nginxFile = join(stack.directory, 'nginx/snippets/http.conf');

const v2 = await d.publish('v2');
await d.publish('bad-migration');
await d.publish('locking-migration');
const v3 = await d.publish('contracting-migration');

/** Runs `body` while a visitor uses the site. @throws unless all is as it was, except the list of releases */
async function unchanged<T>(body: () => Promise<T>): Promise<T> {
  const before = await everything(stack);
  const result = await whileVisited(stack, body);
  const after = await everything(stack);
  for (const each of [before, after]) delete each.state['state/releases.jsonl'];
  assert.equal(after, before);
  await assertNothingLeft(d);
  return result;
}

test('--plan shows what would be done, with the risks of the migrations, and changes nothing', () =>
  unchanged(async () => {
    const expanding = await d.run('deploy', ['2.0.0', '--plan']);
    assert.is(expanding.code, 0, expanding.stderr);
    assert.match(expanding.stdout, /^backend +backend@sha256:\w{12} → backend@sha256:\w{12}$/m);
    assert.match(expanding.stdout, /^instances backend-1, backend-2$/m);
    const [remark = 'the images keep it'] = application.contract;
    assert.ok(expanding.stdout.split('\n').includes(`contract  ${remark}`), expanding.stdout);
    assert.match(
      expanding.stdout,
      /^migration 20250201000000_order_note: harmless to the previous release$/m,
    );
    assert.not.match(expanding.stderr, /things change/);

    const contracting = await d.run('deploy', ['3.0.0', '--plan', '--json', '--surge']);
    assert.is(contracting.code, 0, contracting.stderr);
    const plan = JSON.parse(contracting.stdout);
    assert.equal(
      Object.keys(plan).sort(),
      'contract images migrations notes previous release servers surge unwell'.split(' '),
    );
    assert.equal(plan.contract, application.contract);
    assert.is(plan.surge, 'backend-3');
    assert.is(plan.previous.backend, stack.variables.BACKEND_IMAGE);
    assert.is(plan.migrations[0].name, '20250201000000_drop_subtitle');
    assert.is(plan.migrations[0].findings[0].kind, 'contracts');
    assert.match(plan.migrations[0].findings[0].sql, /DROP COLUMN subtitle/);

    const byDigest = await d.run('deploy', [v2.backend, '--plan', '--json']);
    const { images } = JSON.parse(byDigest.stdout);
    assert.is(images.backend, `${registry.host}/shop/backend@${v2.backend}`);
    assert.is(images.frontend, stack.variables.FRONTEND_IMAGE);
    assert.equal(releases(stack), []);
  }));

test('variables of the application in the env file, or URLs that do not agree with their parts, are wrong usage', async () => {
  const path = join(stack.directory, '.env.production');
  const text = readFileSync(path, 'utf8');
  const refused = async (more: string, pattern: RegExp) => {
    writeFileSync(path, text + more);
    try {
      await unchanged(async () => {
        for (const args of [
          ['2.0.0', '--plan'],
          ['2.0.0', ...UNSAVED],
        ]) {
          const { code, stderr } = await d.run('deploy', args);
          assert.is(code, 2, stderr);
          assert.match(stderr, pattern);
          assert.not.match(stderr, 'a-value-of-its-own');
        }
      });
    } finally {
      writeFileSync(path, text);
    }
  };
  await refused(
    'STRIPE_KEY=a-value-of-its-own\n',
    /\.env\.production has 1 variable of the application, .*: STRIPE_KEY\n.*→ move them: \S*config\.ts --split/,
  );
  await refused(
    'APP_DB_PASSWORD=a-value-of-its-own\n',
    /DATABASE_URL does not say what .*\n.*→ write it: \S*config\.ts --write/,
  );
});

test('a pre-deploy that fails, or can’t be run, ends the deployment before anything changes; --plan runs none', async () => {
  const hook = join(stack.directory, 'hooks/pre-deploy');
  writeFileSync(hook, `#!/bin/sh\ncat >${hook}.json\necho not on a friday\nexit 3\n`);
  try {
    await unchanged(async () => {
      const plan = await d.run('deploy', ['2.0.0', '--plan']);
      assert.is(plan.code, 1, plan.stderr);
      assert.match(plan.stderr, /pre-deploy is not executable; nothing was changed\n.*→ make it: chmod 755 /);
      chmodSync(hook, 0o755);
      assert.is((await d.run('deploy', ['2.0.0', '--plan'])).code, 0);
      assert.not(existsSync(`${hook}.json`));
      const { code, stderr } = await d.run('deploy', ['2.0.0', ...UNSAVED]);
      assert.is(code, 1, stderr);
      assert.match(stderr, /the hook pre-deploy exited with 3; nothing was changed\n {2}not on a friday\n/);
      assert.not.match(stderr, /things change/);
    });
    const { release, images, previous } = JSON.parse(readFileSync(`${hook}.json`, 'utf8'));
    assert.equal([release, images.backend.endsWith(v2.backend)], ['2.0.0', true]);
    assert.is(previous.backend, stack.variables.BACKEND_IMAGE);
  } finally {
    rmSync(hook);
    rmSync(`${hook}.json`, { force: true });
  }
});

test('all problems are listed at once', async () => {
  const text = readFileSync(nginxFile, 'utf8');
  const stray = `${stack.app}-stray`;
  stack.atExit(['rm', '--force', stray]);
  const label = `com.docker.compose.project=${stack.app}-production`;
  const image = stack.variables.BACKEND_IMAGE!;
  const open = ['run', '--detach', '--name', stray, '--label', label, '--publish', '0.0.0.0::9'];
  await stack.docker(...open, image, 'sleep', '600');
  appendFileSync(nginxFile, 'no_such_directive on;\n');
  const envFile = join(stack.directory, '.env.production');
  const { mode } = statSync(envFile);
  chmodSync(envFile, 0o400);
  await stack.docker('stop', stack.container('postgres'));
  const before = await everything(stack);
  try {
    for (const flags of [['--yes'], ['--plan', '--json']]) {
      const { code, stdout, stderr } = await d.run('deploy', ['9.9.9', ...flags]);
      assert.is(code, 1, stderr);
      const said = flags.includes('--json') ? JSON.parse(stdout).error.message : stderr;
      for (const finding of [
        /[5-9] problems found; nothing was changed:/,
        /shop\/backend:9\.9\.9.*not found/,
        /shop\/frontend:9\.9\.9.*not found/,
        /the registry has no such image/,
        /no backend is ready now/,
        /Nginx refuses its configuration: unknown directive "no_such_directive"/,
        /can't write \S+\/\.env\.production: it is read-only/,
        new RegExp(`ports open to every network: ${stray} .*0\\.0\\.0\\.0:\\d+->9/tcp`),
        new RegExp(`${stack.container('postgres')}\\) .*is not running`),
      ])
        assert.ok(finding.test(said), `${finding} is not in:\n${said}`);
    }
    const { code, stderr } = await d.run('scale', ['3']);
    assert.is(code, 1);
    assert.match(stderr, /Nginx refuses its configuration/);
    assert.equal(await everything(stack), before);
  } finally {
    writeFileSync(nginxFile, text);
    chmodSync(envFile, mode);
    await stack.docker('rm', '--force', stray);
    await stack.docker('start', stack.container('postgres'));
  }
  await until(
    'all is well again',
    async () =>
      await assertHealthy(d).then(
        () => true,
        () => false,
      ),
    120,
  );
});

test('more instances than fit into memory are refused', () =>
  unchanged(async () => {
    const four = await withMemory(d, 1900, 'scale', '4');
    assert.is(four.code, 1, four.stderr);
    assert.match(
      four.stderr,
      /1\.86 GiB of memory are available, and backend-3, backend-4 need up to 2\.00 GiB/,
    );
    const three = await withMemory(d, 1900, 'scale', '3', '--dry-run');
    assert.is(three.code, 0, three.stderr);
    assert.match(three.stdout, /would run 3: \+ backend-3/);
    const surge = await withMemory(d, 900, 'deploy', '2.0.0', '--plan', '--surge');
    assert.is(surge.code, 1, surge.stderr);
    assert.match(surge.stderr, /backend-3, frontend-2 need up to 1\.25 GiB/);
  }));

test('while a deployment runs, nothing else that changes the environment starts', () =>
  unchanged(async () => {
    const pause = d.pauseDocker(`pull --quiet ${registry.host}/shop/frontend`, 'before');
    const first = d.start('deploy', ['2.0.0', ...UNSAVED], pause.env);
    await pause.reached(first);
    const others: [string, ...string[]][] = [
      ['deploy', '2.0.0', '--yes'],
      ['deploy', '--resume', '--yes'],
      ['rollback', '--yes'],
      ['scale', '3'],
      ['backup'],
    ];
    const ended = await Promise.all(others.map(([script, ...args]) => d.run(script, args)));
    for (const { code, stderr } of ended) {
      assert.is(code, 75, stderr);
      assert.match(stderr, new RegExp(`deploy\\.ts, by \\w+ on .*, process ${first.child.pid}, since `));
    }
    first.child.kill('SIGINT');
    pause.go();
    assertEnded(
      stack,
      await first.ended,
      130,
      'rolled back',
      /interrupted by SIGINT/,
      /no instance was replaced/,
    );
  }));

test('a deployment does not wait for a backup: it says who holds the lock', async () => {
  await unchanged(async () => {
    const pause = d.pauseDocker(' pg_dump --format', 'before');
    const backup = d.start('backup', [], pause.env);
    await pause.reached(backup);
    const refused = await d.run('deploy', ['2.0.0', '--yes']);
    assert.is(refused.code, 75, refused.stderr);
    assert.match(refused.stderr, new RegExp(`backup\\.ts, by \\w+ on .*, process ${backup.child.pid}, `));
    pause.go();
    const { code, stderr } = await backup.ended;
    assert.is(code, 0, stderr);
  });
});

test('a migration that fails ends the deployment with its error', async () => {
  const ended = await unchanged(() => d.run('deploy', ['2.4.0', ...UNSAVED]));
  const { migrations, contracting } = assertEnded(
    stack,
    ended,
    1,
    'rolled back',
    /function left_of.* does not exist/,
  );
  assert.equal([migrations, contracting], [[], []]);
  assert.match(ended.stderr, /no instance was replaced/);
  assert.match(ended.stderr, /`\S*deploy\.ts sha256:\w{64} --plan` shows the command/);
  await markRolledBack(stack);
});

test('a migration that blocks orders is ended, and the orders are placed', async () => {
  const ended = await unchanged(() => d.run('deploy', ['2.5.0', ...UNSAVED]));
  assertEnded(
    stack,
    ended,
    1,
    'rolled back',
    /the migration was ended: \d+ session\(s\) of the application waited/,
  );
  await markRolledBack(stack);
});

test('a registry that fails after the plan leaves no partial image', async () => {
  const ended = await unchanged(async () => {
    const pause = d.pauseDocker(`pull --quiet ${registry.host}/shop/frontend`, 'before');
    const run = d.start('deploy', ['3.0.0', ...UNSAVED], pause.env);
    await pause.reached(run);
    await registry.stop();
    pause.go();
    return run.ended;
  });
  assertEnded(stack, ended, 1, 'rolled back', /could not pull .*shop\/frontend@sha256:/);
  const here = await stack.docker('image', 'ls', '--digests', '--format', '{{.Repository}}@{{.Digest}}');
  assert.ok(here.includes(`${registry.host}/shop/backend@${v3.backend}`));
  assert.not(here.includes(`${registry.host}/shop/frontend@${v3.frontend}`));
  const planned = await d.run('deploy', ['3.0.0', '--plan']);
  assert.is(planned.code, 1);
  assert.match(planned.stderr, /check the network/);
  await registry.start();
});

test('a full disk under state/ ends the release before anything is replaced', async () => {
  const state = mkdtempSync(join(tmpdir(), 'state-'));
  await withDisk(state, 64 * 1024, async () => {
    const ended = await unchanged(async () => {
      const pause = d.pauseDocker('buildx imagetools inspect --raw', 'before');
      const run = d.start('deploy', ['2.0.0', ...UNSAVED], { ...pause.env, STATE_DIR: state });
      await pause.reached(run);
      fill(state);
      pause.go();
      return run.ended;
    });
    assert.is(ended.code, 1, ended.stderr);
    assert.match(ended.stderr, /ENOSPC/);
    assert.match(ended.stderr, /free some space/);
    assert.not.match(ended.stderr, /this is a bug/);
  });
});

test('the stack is healthy after all that', async () => {
  await reload(stack);
  await assertHealthy(d);
  assert.is(await sql(stack, 'SELECT count(*) FROM articles WHERE subtitle IS NOT NULL'), '20');
});

test.run();
