/* What a failed hook does to a run, what is said of it, and which hooks follow a deployment. */
import { chmodSync, existsSync, renameSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OperationalError } from '../../scripts/lib/core/errors.ts';
import { logTo } from '../../scripts/lib/core/log.ts';
import { hideSecrets } from '../../scripts/lib/core/redact.ts';
import type { Release } from '../../scripts/lib/deploy/releases.ts';
import { reportDeploy } from '../../scripts/lib/deploy/report.ts';
import { checkHooks, HOOKS, hookRemarks, runHook } from '../../scripts/lib/hooks/hooks.ts';
import { captured } from '../support/core/here.ts';
import { hookPlace } from '../support/hooks/hooks.ts';

const failureOf = async (work: () => Promise<void>): Promise<OperationalError> => {
  try {
    await work();
  } catch (error) {
    assert.instance(error, OperationalError);
    return error as OperationalError;
  }
  throw new Error('it did not fail');
};

test('a hook gets the run as one line of JSON, and the environment’s name; no secret of the run', async () => {
  const place = hookPlace();
  place.write('post-deploy', 'cat >input; env >environment');
  process.env.POSTGRES_PASSWORD = 'a-password-of-the-run';
  hideSecrets([process.env.POSTGRES_PASSWORD]);
  try {
    const facts = { release: 'v2', reason: `because ${process.env.POSTGRES_PASSWORD}` };
    const { stderr } = await captured(() => runHook(place.config, 'post-deploy', facts));
    assert.match(stderr, /hook post-deploy: done in \d/);
  } finally {
    delete process.env.POSTGRES_PASSWORD;
  }
  const { time, user, script, ...rest } = JSON.parse(place.read('input'));
  assert.ok(Math.abs(Date.now() - Date.parse(time)) < 600_000 && user && script !== undefined);
  assert.equal(rest, {
    hook: 'post-deploy',
    app: place.config.app,
    environment: 'production',
    release: 'v2',
    reason: 'because ***',
  });
  const lines = place.read('environment').split('\n');
  for (const line of ['HOOK=post-deploy', 'DEPLOY_ENV=production', `PATH=${process.env.PATH}`])
    assert.ok(lines.includes(line), line);
  assert.ok(lines.some(line => line.startsWith('HOME=/')));
  assert.not.match(place.read('environment'), /PASSWORD/);
});

test('a pre- hook that fails ends the run with its last lines; any other is a warning; no file is no hook', async () => {
  const place = hookPlace();
  logTo(place.path('logs/test.log'));
  for (const name of HOOKS) place.write(name, 'seq 30; echo "not now: $HOOK" >&2; exit 3');
  for (const name of HOOKS) {
    const work = () => runHook(place.config, name, {});
    if (name.startsWith('pre-')) {
      const error = await failureOf(work);
      assert.match(error.message, new RegExp(`^the hook ${name} exited with 3; (there is no|nothing was)`));
      assert.is(error.details, [...Array(9).keys()].map(i => i + 22).join('\n') + `\nnot now: ${name}`);
      assert.match(error.hint, /^correct .*, or move it away\. All that it wrote is in .*test\.log\.$/);
    } else {
      const { stderr } = await captured(work);
      assert.match(stderr, new RegExp(`warning: the hook ${name} exited with 3\n  22\n`));
    }
    assert.match(
      place.read('logs/test.log'),
      new RegExp(`hook ${name}, which exited with 3, wrote:\n  1\n  2\n`),
    );
    renameSync(place.path(name), place.path(`${name}.off`));
    assert.is((await captured(work)).stderr, '');
  }
});

test('what can’t be run: refused before the run for a pre- hook, else a warning; a name that is none as well', async () => {
  const place = hookPlace();
  for (const name of ['pre-deploy', 'post-deploy'] as const) chmodSync(place.write(name, 'true'), 0o644);
  place.write('post_deploy', 'true');
  place.write('Pre-Backup.sh', 'true');
  place.write('pre-backup.sample', 'exit 1');
  place.write('library', 'true');
  writeFileSync(place.path('on-fire.txt'), 'not executable');
  const { stderr } = await captured(async () => checkHooks(place.config, ['post-deploy']));
  assert.match(stderr, /warning: the hook \S+\/post-deploy is not executable\n {2}→ make it: chmod 755 /);
  const wrong = [...stderr.matchAll(/(\S+) is not the name of a hook/g)].map(([, path]) => path);
  assert.equal(wrong.toSorted(), [place.path('Pre-Backup.sh'), place.path('post_deploy')]);
  const remarks = hookRemarks(place.config).map(({ message }) => message);
  assert.is(remarks.length, 4, 'the health check names all of them');
  assert.ok(
    remarks.some(message => /pre-deploy is not executable$/.test(message)),
    remarks.join('\n'),
  );
  const refused = await failureOf(async () => checkHooks(place.config, ['pre-deploy']));
  assert.match(refused.message, /pre-deploy is not executable; nothing was changed$/);
  const error = await failureOf(() => runHook(place.config, 'pre-deploy', {}));
  assert.is(error.message, refused.message);
});

test('a run that a hook has started runs no hooks, and says so', async () => {
  const place = hookPlace();
  place.write('on-alert', 'touch ran');
  process.env.HOOK = 'on-alert';
  try {
    const { stderr } = await captured(() => runHook(place.config, 'on-alert', {}));
    assert.match(stderr, /hook on-alert is not run, because the hook on-alert started this run/);
    assert.is((await captured(() => runHook(place.config, 'pre-backup', {}))).stderr, '', 'there is none');
  } finally {
    delete process.env.HOOK;
  }
  assert.not(existsSync(place.path('ran')));
});

test('a hook has as long as HOOK_TIMEOUT', async () => {
  const place = hookPlace({ HOOK_TIMEOUT: '1s' });
  place.write('pre-deploy', 'echo waiting; sleep 600');
  const error = await failureOf(() => runHook(place.config, 'pre-deploy', {}));
  assert.is(error.message, 'the hook pre-deploy did not end in 1 s (HOOK_TIMEOUT); nothing was changed');
  assert.is(error.details, 'waiting');
});

test('post-deploy and post-rollback follow what serves; on-alert what has failed', async () => {
  const images = { backend: 'shop/backend:2', frontend: 'shop/frontend:2' };
  const release = (kind: Release['kind'], outcome: Release['outcome']): Release => ({
    time: '2026-01-31T02:00:07Z',
    environment: 'production',
    release: 'v2',
    ...{ kind, outcome, images, previous: images, migrations: [], contracting: [], backup: null },
    ...{ by: 'operator', seconds: 1, canary: null },
  });
  const cases: [Release['kind'], Release['outcome'], number, string[]][] = [
    ['deploy', 'done', 0, ['post-deploy']],
    ['deploy', 'rolled back', 1, ['on-alert', 'post-rollback']],
    ['deploy', 'stopped', 1, ['on-alert']],
    ['rollback', 'done', 0, ['post-rollback']],
    ['rollback', 'rolled back', 1, ['on-alert']],
  ];
  for (const [kind, outcome, exitCode, wanted] of cases) {
    const place = hookPlace();
    for (const name of HOOKS) place.write(name, `cat >${name}.json`);
    const failure = exitCode ? new OperationalError('an instance is not ready', 'look') : undefined;
    const report = { release: release(kind, outcome), exitCode, ...(failure ? { failure } : {}) };
    const { PATH } = process.env;
    process.env.PATH = '/usr/bin:/bin';
    await captured(() => reportDeploy(place.config, report));
    process.env.PATH = PATH;
    const ran = HOOKS.filter(name => existsSync(place.path(`${name}.json`)));
    assert.equal(ran.toSorted(), wanted, `${kind}, ${outcome}`);
    for (const name of ran) {
      const facts = JSON.parse(place.read(`${name}.json`));
      assert.is(facts.exitCode, exitCode);
      if (name === 'on-alert') assert.match(facts.text, /FAILED, .*: an instance is not ready/);
      else assert.equal([facts.release, facts.outcome, facts.images], ['v2', outcome, images]);
    }
  }
});

test.run();
