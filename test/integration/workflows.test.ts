/** The workflows' own lines, taken out of the YAML and run as GitHub runs them, against a real sshd. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { install } from '../engine/apt.ts';
import { attempt } from '../engine/process.ts';
import { startReceiver } from '../support/receiver.ts';
import { SSH_SCRIPTS } from '../support/ssh-scripts.ts';
import { type SshServer, startSshServer } from '../support/sshd.ts';
import { type Runner, STEPS, startRunner } from '../support/workflow.ts';

await install(['jq', 'curl', 'shellcheck']);

const BACKEND = `sha256:${'0a'.repeat(32)}`;
const FRONTEND = `sha256:${'1b'.repeat(32)}`;
const DEPLOY = { BACKEND, FRONTEND };

/** A server, and the job `deploy` of a workflow with its connection to it prepared. */
async function onRunner(
  file: string,
  body: (server: SshServer, runner: Runner) => Promise<void>,
  knownHosts?: string,
): Promise<void> {
  const server = await startSshServer(SSH_SCRIPTS);
  const runner = startRunner(file, 'deploy');
  try {
    mkdirSync(join(server.root, 'state'), { recursive: true });
    const { code, stderr } = await runner.run('Prepare the connection', {
      ...server.connection,
      ...(knownHosts ? { KNOWN_HOSTS: knownHosts } : {}),
    });
    assert.is(code, 0, stderr);
    await body(server, runner);
  } finally {
    runner.remove();
    await server.stop();
  }
}

/** A PATH on which `sleep` returns at once, and `ssh` is a script that ends with `exec`ing or replacing the real one. */
function without({ directory }: Runner, ssh?: string): string {
  const programs = join(directory, 'programs');
  mkdirSync(programs);
  writeFileSync(join(programs, 'sleep'), `#!/bin/sh\necho "$1" >>${directory}/slept\n`, { mode: 0o755 });
  if (ssh) writeFileSync(join(programs, 'ssh'), `#!/bin/bash\n${ssh}\n`, { mode: 0o755 });
  return `${programs}:${process.env.PATH}`;
}

const runsOf = ({ root }: SshServer) =>
  existsSync(join(root, 'logs'))
    ? readdirSync(join(root, 'logs')).filter(name => name.endsWith('.exit'))
    : [];

const health = ({ root }: SshServer, code: number) => writeFileSync(join(root, 'state/health'), String(code));

test('shellcheck finds nothing in any step', async () => {
  for (const { where, step } of STEPS) {
    if (!step.run) continue;
    const path = join(process.env.TMPDIR ?? '/tmp', `step-${process.pid}.sh`);
    writeFileSync(path, `set -eo pipefail\n${step.run}`);
    const { code, stdout } = await attempt('shellcheck', ['--shell=bash', path]);
    execFileSync('rm', [path]);
    assert.is(code, 0, `${where}\n${stdout}`);
  }
});

for (const file of ['deploy-staging.yml', 'deploy-production.yml']) {
  test(`${file}: deploys both digests and passes the exit code on`, () =>
    onRunner(file, async (server, runner) => {
      for (const name of readdirSync(join(runner.directory, 'ssh'))) {
        assert.is(statSync(join(runner.directory, 'ssh', name)).mode & 0o077, 0, `${name} is open to others`);
      }
      const done = await runner.run('Deploy', DEPLOY);
      assert.is(done.code, 0, done.stderr);
      const told = JSON.parse(done.stdout.trim().split('\n').at(-1)!);
      assert.equal(told.positionals, [BACKEND, FRONTEND]);
      assert.is(runsOf(server).length, 1);
      assert.match(runsOf(server)[0]!, /-4711-1\.exit$/);
      const failed = await runner.run('Deploy', { BACKEND: 'exits-3', FRONTEND, RUN: '4711-2' });
      assert.is(failed.code, 3);
      assert.is(runsOf(server).length, 2, 'a failed deploy is not tried again');
    }));

  test(`${file}: a server with another host key is not talked to`, () =>
    onRunner(
      file,
      async (server, runner) => {
        const { code, stderr } = await runner.run('Deploy', DEPLOY, { path: without(runner) });
        assert.is(code, 255);
        assert.match(stderr, /Host key verification failed/);
        assert.not.match(server.log(), /Accepted|Postponed publickey/);
        assert.equal(runsOf(server), []);
        assert.is(readFileSync(join(runner.directory, 'slept'), 'utf8').split('\n').length - 1, 5);
      },
      ' ', // it knows none
    ));

  test(`${file}: a connection that fails after the deploy has begun: one deploy, and its outcome`, () =>
    onRunner(file, async (server, runner) => {
      const path = without(
        runner,
        `/usr/bin/ssh "$@"; status=$?
        if [ -e ${runner.directory}/cut ]; then exit $status; fi
        touch ${runner.directory}/cut; exit 255`,
      );
      const { code } = await runner.run('Deploy', { BACKEND: 'exits-3', FRONTEND }, { path });
      assert.is(code, 3);
      assert.is(runsOf(server).length, 1);
    }));

  test(`${file}: a connection that fails before the deploy has begun: it begins`, () =>
    onRunner(file, async (server, runner) => {
      assert.is((await server.run(['deploy exits-0'])).code, 0); // an earlier one, that went well
      const path = without(
        runner,
        `if [ -e ${runner.directory}/cut ]; then exec /usr/bin/ssh "$@"; fi
        touch ${runner.directory}/cut; exit 255`,
      );
      const { code } = await runner.run('Deploy', { BACKEND: 'exits-3', FRONTEND }, { path });
      assert.is(code, 3, 'the outcome is this one’s, not the earlier one’s');
      assert.is(runsOf(server).length, 2);
    }));

  for (const [code, passes] of [
    [0, true],
    [1, true],
    [2, false],
    [3, false],
  ] as const) {
    test(`${file}: a health check that ends with ${code} ${passes ? 'passes' : 'fails'}`, () =>
      onRunner(file, async (server, runner) => {
        health(server, code);
        const { code: status } = await runner.run('Health check', {});
        assert.is(status === 0, passes);
        if (file === 'deploy-production.yml') assert.is(runner.outputs().status, String(code));
      }));
  }
}

test('production rolls back what went well into a critical state, and only that', () =>
  onRunner('deploy-production.yml', async (server, runner) => {
    const { step } = STEPS.find(({ step }) => step.name === 'Roll back')!;
    assert.is(step.if, "failure() && steps.health.outputs.status == '2'");
    const { code, stdout } = await runner.run('Roll back', {});
    assert.is(code, 0);
    const told = JSON.parse(stdout.trim().split('\n').at(-1)!);
    assert.equal([told.verb, told.positionals, told.options.yes], ['rollback', [], true]);
    assert.is(runsOf(server).length, 1);
  }));

for (const [file, given] of [
  ['deploy-staging.yml', { WHAT: 'staging, v1-2-gabc' }],
  ['deploy-production.yml', { WHAT: 'production, "v1"\\ $(id) `id`' }],
] as const) {
  test(`${file}: Slack is told how it went, or it is said that nobody is`, async () => {
    const slack = await startReceiver();
    const runner = startRunner(file, 'tell');
    try {
      const say = (RESULTS: string, webhook = `${slack.url}/hook`) =>
        runner.run('Slack', { ...given, RESULTS, URL: 'https://x/1', SLACK_WEBHOOK_URL: webhook });
      const good = await say('build success, deploy success, record success');
      assert.is(good.code, 0, good.stderr);
      await say('build success, deploy failure, record skipped');
      const texts = slack.received.map(({ body }) => JSON.parse(body).text);
      assert.equal(texts, [
        `[${given.WHAT}] deployed: build success, deploy success, record success https://x/1`,
        `[${given.WHAT}] NOT deployed, or not whole: build success, deploy failure, record skipped https://x/1`,
      ]);
      assert.equal(
        slack.received.map(({ method, path }) => `${method} ${path}`),
        ['POST /hook', 'POST /hook'],
      );
      slack.answer = 404;
      assert.is.not((await say('build success')).code, 0, 'a webhook that is gone is seen');
      const none = await say('build success', '');
      assert.is(none.code, 0);
      assert.match(
        none.stdout,
        /^::warning::nobody was told, because the secret SLACK_WEBHOOK_URL is not set/,
      );
      assert.is(slack.received.length, 3);
    } finally {
      runner.remove();
      await slack.stop();
    }
  });
}

for (const [version, good] of [
  ['v2.4.0', true],
  ['2026.11', true],
  ['v1/../x', false],
  ['v1;id', false],
  ['-v', false],
  ['', false],
  ['v1\nid', false],
] as const) {
  test(`${JSON.stringify(version)} is ${good ? 'a' : 'no'} version`, async () => {
    const runner = startRunner('deploy-production.yml', 'find');
    try {
      const { code, stdout } = await runner.run('Check the version', { VERSION: version });
      assert.is(code, good ? 0 : 1);
      assert.is(stdout.startsWith('::error::'), !good);
    } finally {
      runner.remove();
    }
  });
}

test.run();
