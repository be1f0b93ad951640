/** The workflows' own lines, taken out of the YAML and run as GitHub runs them, against a real sshd. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { install } from '../engine/apt.ts';
import { attempt } from '../engine/process.ts';
import { createSshPlaces, type SshPlace } from '../support/cli/ssh-places.ts';
import { until } from '../support/core/world.ts';
import { FILES, type Runner, STEPS, startRunner, stepOf } from '../support/deploy/workflow.ts';
import { startReceiver } from '../support/notify/receiver.ts';

await install(['jq', 'curl', 'shellcheck']);
const { server, place: createPlace, stop } = await createSshPlaces();

const BACKEND = `sha256:${'0a'.repeat(32)}`;
const FRONTEND = `sha256:${'1b'.repeat(32)}`;
const DEPLOY = { BACKEND, FRONTEND };
const WORKFLOWS = ['deploy-staging.yml', 'deploy-production.yml'];

/** A place on the server, and the job `deploy` of a workflow with its connection to it prepared. */
async function onRunner(
  file: string,
  body: (place: SshPlace, runner: Runner) => Promise<void>,
  knownHosts?: string,
): Promise<void> {
  const place = createPlace();
  const runner = startRunner(file, 'deploy');
  try {
    const { code, stderr } = await runner.run('Prepare the connection', {
      ...server.connectionFor(place.key),
      ...(knownHosts ? { KNOWN_HOSTS: knownHosts } : {}),
    });
    assert.is(code, 0, stderr);
    await body(place, runner);
  } finally {
    runner.remove();
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

const endsOf = ({ files }: SshPlace) => files().filter(name => name.endsWith('.exit'));

/** The workflows whose step has lines of its own: those that have the same lines do the same. */
const distinct = (step: string) =>
  WORKFLOWS.filter((file, index) => {
    const lines = (each: string) => stepOf(each, 'deploy', step).run;
    return !WORKFLOWS.slice(0, index).some(each => lines(each) === lines(file));
  });

test('shellcheck finds nothing in any step', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'steps-'));
  try {
    const paths = STEPS.flatMap(({ where, step }, index) => {
      if (!step.run) return [];
      const path = join(directory, `${index} ${where.replaceAll('/', ' ')}.sh`);
      writeFileSync(path, `set -eo pipefail\n${step.run}`);
      return [path];
    });
    assert.ok(paths.length >= FILES.length);
    const { code, stdout } = await attempt('shellcheck', ['--shell=bash', ...paths]);
    assert.is(code, 0, stdout);
    writeFileSync(paths[0]!, 'cd $HOME/x\n');
    assert.is((await attempt('shellcheck', ['--shell=bash', ...paths])).code, 1, 'it would find something');
  } finally {
    rmSync(directory, { recursive: true });
  }
});

for (const file of WORKFLOWS) {
  test(`${file}: deploys both digests, and checks the health`, () =>
    onRunner(file, async (place, runner) => {
      const files = readdirSync(join(runner.directory, 'ssh'));
      assert.equal(files.sort(), ['config', 'key', 'known_hosts']);
      for (const name of files)
        assert.is(statSync(join(runner.directory, 'ssh', name)).mode & 0o077, 0, `${name} is open to others`);
      const done = await runner.run('Deploy', DEPLOY);
      assert.is(done.code, 0, done.stderr);
      assert.match(
        done.stdout,
        new RegExp(`^deploy ${BACKEND} ${FRONTEND} --env production --yes$`, 'm'),
        'the environment is the key’s',
      );
      assert.is(endsOf(place).length, 1);
      assert.match(endsOf(place)[0]!, /-4711-1\.exit$/);
      writeFileSync(join(place.state, 'health'), '1');
      const health = await runner.run('Health check', {});
      assert.is(health.code, 0, 'a warning passes');
      assert.match(health.stdout, /^health-check --verbose --env production$/m);
      assert.not.match(health.stdout, /::warning/);
    }));
}

for (const file of distinct('Health check')) {
  for (const [code, told] of [
    [0, false],
    [1, false],
    [2, true],
    [3, true],
    [255, true],
  ] as const) {
    test(`${file}: a health check that ends with ${code} ${told ? 'is told' : 'is nothing to tell'}, and the release stays`, () =>
      onRunner(file, async (_, runner) => {
        const path = without(runner, `echo "$@" >${runner.directory}/asked; exit ${code}`);
        const { code: status, stdout } = await runner.run('Health check', {}, { path });
        assert.match(
          readFileSync(join(runner.directory, 'asked'), 'utf8'),
          /server health-check --verbose\n$/,
        );
        assert.is(status, 0);
        assert.is(/^::warning::the release is deployed, and health-check\.ts ends with /m.test(stdout), told);
      }));
  }
}

for (const file of distinct('Deploy')) {
  test(`${file}: passes the exit code on, and does not repeat a failed deploy`, () =>
    onRunner(file, async (place, runner) => {
      const failed = await runner.run('Deploy', { BACKEND: 'exits-3', FRONTEND });
      assert.is(failed.code, 3);
      assert.is(endsOf(place).length, 1);
    }));

  test(`${file}: a server with another host key gets no command`, () =>
    onRunner(
      file,
      async (place, runner) => {
        const before = server.log().length;
        const { code, stderr } = await runner.run('Deploy', DEPLOY, { path: without(runner) });
        assert.is(code, 255);
        assert.is(stderr.match(/Host key verification failed/g)?.length, 5);
        const log = () => server.log().slice(before);
        await until('sshd has said so', () => log().match(/Connection from 127\.0\.0\.1/g)?.length === 5);
        assert.not.match(log(), /Accepted|Postponed publickey/);
        assert.equal(endsOf(place), []);
        assert.is(readFileSync(join(runner.directory, 'slept'), 'utf8'), '0\n5\n15\n30\n60\n');
      },
      ' ', // it knows none
    ));

  test(`${file}: a connection that fails after the deploy has begun: one deploy, and its outcome`, () =>
    onRunner(file, async (place, runner) => {
      const path = without(
        runner,
        `/usr/bin/ssh "$@"; status=$?
        if [ -e ${runner.directory}/cut ]; then exit $status; fi
        touch ${runner.directory}/cut; exit 255`,
      );
      const { code } = await runner.run('Deploy', { BACKEND: 'exits-3', FRONTEND }, { path });
      assert.is(code, 3);
      assert.is(endsOf(place).length, 1);
      assert.is(place.ends().length, 1);
    }));

  test(`${file}: a connection that fails before the deploy has begun: it begins`, () =>
    onRunner(file, async (place, runner) => {
      assert.is((await place.run(['deploy exits-0'])).code, 0); // an earlier one, that went well
      const path = without(
        runner,
        `if [ -e ${runner.directory}/cut ]; then exec /usr/bin/ssh "$@"; fi
        touch ${runner.directory}/cut; exit 255`,
      );
      const { code } = await runner.run('Deploy', { BACKEND: 'exits-3', FRONTEND }, { path });
      assert.is(code, 3, 'the outcome is this one’s, not the earlier one’s');
      assert.is(endsOf(place).length, 2);
    }));
}

for (const [file, given] of [
  ['deploy-staging.yml', { WHAT: 'staging, v1-2-gabc' }],
  ['deploy-production.yml', { WHAT: 'production, "v1"\\ $(id) `id`' }],
] as const) {
  test(`${file}: Slack gets the outcome, or the log says that no Slack is configured`, async () => {
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
      assert.is((await say('build success')).code, 22, 'a webhook that is gone is seen'); // curl: an error of HTTP
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

test('the server stops', stop);

test.run();
