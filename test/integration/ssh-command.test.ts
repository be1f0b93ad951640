/** The forced command of a deploy key, through a real sshd. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { exitCodeOf, messageOf, OperationalError } from '../../scripts/lib/core/errors.ts';
import { accept } from '../../scripts/ssh-command.ts';
import { createSshPlaces } from '../support/cli/ssh-places.ts';
import { startProgram, startScript, until } from '../support/core/world.ts';
import { startReceiver } from '../support/notify/receiver.ts';

const { server, place, stop } = await createSshPlaces();

const DIGESTS = [`sha256:${'0a'.repeat(32)}`, `sha256:${'1b'.repeat(32)}`];
const SCRIPTS = join(ROOT, 'scripts');

test('what a key may say, with what comes of it', () => {
  for (const [said, argv] of [
    ['deploy v2.4.0', 'deploy.ts v2.4.0 --env production --yes'],
    ['deploy latest --surge', 'deploy.ts latest --surge --env production --yes'],
    [`deploy ${DIGESTS.join(' ')}`, `deploy.ts ${DIGESTS.join(' ')} --env production --yes`],
    ['deploy v2 --plan', 'deploy.ts v2 --plan --env production'],
    ['deploy v2 --surge --plan', 'deploy.ts v2 --surge --plan --env production'],
    ['deploy v2 --run 4711-1', 'deploy.ts v2 --env production --yes', '4711-1'],
    ['deploy v2 --surge --run 4711-1', 'deploy.ts v2 --surge --env production --yes', '4711-1'],
    ['rollback', 'rollback.ts --env production --yes'],
    ['rollback v2.3.0', 'rollback.ts v2.3.0 --env production --yes'],
    ['rollback sha256:0a0a0a0a0a0a', 'rollback.ts sha256:0a0a0a0a0a0a --env production --yes'],
    ['rollback --run 4711-1', 'rollback.ts --env production --yes', '4711-1'],
    ['rollback --list', 'rollback.ts --list --env production'],
    ['health-check', 'health-check.ts --env production'],
    ['health-check --verbose', 'health-check.ts --verbose --env production'],
    ['health-check --json', 'health-check.ts --json --env production'],
  ] as const) {
    const accepted = accept(said, '127.0.0.1', 'production');
    assert.is(accepted.argv.join(' '), `${SCRIPTS}/${argv}`, said);
    assert.is(accepted.argv.length, argv.split(' ').length, 'each word is an argument of its own');
    assert.is(accepted.readOnly, !argv.endsWith('--yes'), said);
    assert.is(accepted.verb, said.split(' ')[0]);
  }
  for (const [said, name] of [
    ['deploy v2 --run 4711-1', '4711-1'],
    ['rollback --run 4711-2', '4711-2'],
    ['follow', undefined],
    ['follow 4711-1', '4711-1'],
  ] as const)
    assert.is(accept(said, '127.0.0.1', 'production').name, name, said);
});

test('through ssh: the arguments, all that a run prints, and files that only their owner reads', async () => {
  const { run, logs } = place();
  const { code, stdout } = await run(['deploy talks --surge']);
  assert.is(code, 0);
  assert.is(stdout.match(/^0123456789abcde$/gm)?.length, 200_000);
  assert.match(stdout, /^deploy talks --surge --env production --yes$/m);
  const files = readdirSync(logs).filter(name => name !== 'ssh-command.log');
  assert.is(files.length, 2);
  for (const name of files) assert.is(statSync(join(logs, name)).mode & 0o777, 0o600, name);
});

test('exit codes come through', async () => {
  const { run, state, ends } = place();
  assert.is((await run(['deploy exits-1'])).code, 1);
  writeFileSync(join(state, 'health'), '2');
  assert.is((await run(['health-check'])).code, 2);
  assert.equal(
    ends().map(({ exitCode }) => exitCode),
    [1],
  );
});

test('all else is refused', () => {
  const commands = [
    'deploy',
    'deploy ',
    'deploy v1;id',
    'deploy v1; id',
    'deploy v1 && id',
    'deploy v1|id',
    'deploy $(id)',
    'deploy `id`',
    'deploy $HOME',
    'deploy v1\nid',
    'deploy v1\n',
    'deploy v1\r',
    "deploy 'v1'",
    'deploy v1 >x',
    'deploy v1 --env staging',
    'deploy v1 --env=staging',
    'deploy v1 --yes',
    'deploy v1 --skip-backup',
    'deploy v1 --skip-backup --reason x',
    'deploy v1 --json',
    'deploy v1 --resume',
    'deploy --revert',
    'deploy --plan v1',
    'deploy -- v1',
    'deploy v1 v2 v3',
    'deploy  v1',
    ' deploy v1',
    'deploy\tv1',
    'deploy ../v1',
    'deploy evil.example/image:v1',
    'deploy image@sha256:00',
    'deploy sha256:00',
    `deploy ${DIGESTS[0]}0`,
    `deploy sha256:${'G'.repeat(64)}`,
    `deploy v${'1'.repeat(128)}`,
    'deploy v1 --run ../x',
    'deploy v1 --run a/b',
    'deploy v1 --run',
    'deploy ünï',
    'Deploy v1',
    'rollback sha256:0a',
    'rollback --yes',
    'rollback --list --json',
    'rollback --with-database latest',
    'rollback v1 v2',
    'health-check --nagios',
    'health-check --env staging',
    'follow ../../etc/passwd',
    'follow --env staging',
    'restore latest',
    'backup',
    'scale 8',
    'deploy.ts v1',
    './scripts/deploy.ts v1',
    `${ROOT}/scripts/deploy.ts v1`,
    '/bin/sh',
    'bash -i',
    'id',
    'env',
    'internal-sftp',
    '/usr/lib/openssh/sftp-server',
    'scp -t .',
    'rsync --server . .',
    'git-upload-pack x',
  ];
  for (const said of commands) {
    let error: unknown;
    try {
      accept(said, '127.0.0.1', 'production');
    } catch (thrown) {
      error = thrown;
    }
    assert.ok(error instanceof OperationalError, `${JSON.stringify(said)} was not refused`);
    assert.is(exitCodeOf(error), 2);
    assert.is(
      messageOf(error),
      `this key is not allowed to run ${JSON.stringify(said)}, requested from 127.0.0.1`,
    );
    assert.match(error.hint, /^allowed commands:\n {6}deploy /);
  }
});

test('through ssh, what is refused is logged, and starts nothing', async () => {
  const { run, logs, ends, logged } = place();
  const refuse = async (said: string) => {
    const { code, stdout, stderr } = await run([said]);
    assert.is(code, 2, `${JSON.stringify(said)} was not refused: ${stdout}${stderr}`);
    assert.is(stdout, '');
    assert.match(stderr, /this key is not allowed to run .*\n {2}→ allowed commands:\n {6}deploy /);
    assert.not.match(stderr, /this is a bug|uid=/);
    const shown = JSON.stringify(said);
    assert.ok(logged().includes(`this key is not allowed to run ${shown}, requested from 127.0.0.1`), shown);
  };
  await Promise.all(['deploy v1;id', 'deploy $(id)\nid'].map(refuse));
  assert.equal(readdirSync(logs), ['ssh-command.log']);
  assert.equal(ends(), []);
  assert.is(statSync(join(logs, 'ssh-command.log')).mode & 0o777, 0o600);
});

test('no shell, no terminal, no file transfer', async () => {
  const { run, key, logged } = place();
  const copied = join(server.root, 'copied');
  const options = server.optionsFor(key).map(option => (option === '-p' ? '-P' : option));
  const copy = (protocol: string) =>
    startProgram(
      'scp',
      [protocol, ...options, '/etc/hostname', `${server.connection.LOGIN}@127.0.0.1:${copied}`],
      {
        PATH: process.env.PATH!,
      },
    ).ended;
  const [shell, terminal, sftp, ...copies] = await Promise.all([
    run([]),
    run(['health-check'], ['-tt']),
    run(['sftp'], ['-s']),
    copy('-O'),
    copy('-s'),
  ]);
  assert.is(shell.code, 2);
  assert.match(shell.stderr, /not allowed to run a shell/);
  assert.match(terminal.stderr, /PTY allocation request failed/);
  assert.is(sftp.code, 2);
  assert.is(sftp.stdout, '');
  // A subsystem's stderr is not sent, so scp can't say why.
  assert.match(logged(), /not allowed to run "[^"]*sftp[^"]*"/);
  assert.match(logged(), /not allowed to run "scp -t /);
  for (const { code } of copies) assert.is.not(code, 0);
  assert.not.ok(existsSync(copied));
});

test('no forwarding: of ports, agent or display', async () => {
  const { run } = place();
  const inside = await startReceiver();
  const agent = spawn('ssh-agent', ['-D', '-a', join(server.root, 'agent')], { stdio: 'ignore' });
  try {
    const port = new URL(inside.url).port;
    await until('the agent listens', () => existsSync(join(server.root, 'agent')));
    const [through, back, inner] = await Promise.all([
      run([], ['-W', `127.0.0.1:${port}`]),
      run(['health-check'], ['-o', 'ExitOnForwardFailure=yes', '-R', `127.0.0.1:0:127.0.0.1:${port}`]),
      run(['health-check'], ['-o', `ForwardAgent=${join(server.root, 'agent')}`, '-X']),
    ]);
    assert.is(through.code, 255);
    assert.match(through.stderr, /administratively prohibited/);
    assert.is(back.code, 255);
    assert.match(back.stderr, /remote port forwarding failed/);
    assert.is(inner.code, 0, inner.stderr);
    assert.match(inner.stdout, /agent: display: /);
    assert.equal(inside.received, []);
  } finally {
    agent.kill();
    await inside.stop();
  }
});

test('the client chooses no environment', async () => {
  const { run } = place('--env staging');
  const { code, stdout } = await run(
    ['health-check'],
    ['-o', 'SetEnv=DEPLOY_ENV=production LC_ALL=C STATE_DIR=/nowhere'],
  );
  assert.is(code, 0);
  // That sshd lets LC_ALL through shows that the client did send them.
  assert.match(stdout, /^locale:C agent: display: deploy_env:\nhealth-check --env staging\n$/);
});

test('a key whose line names no environment may do nothing, and another key gets nowhere', async () => {
  const [nameless, stranger] = await Promise.all([
    place('').run(['health-check']),
    server.run(['health-check'], [], 'stranger'),
  ]);
  assert.is(nameless.code, 2);
  assert.match(nameless.stderr, /no --env/);
  assert.is(stranger.code, 255);
  assert.match(stranger.stderr, /Permission denied/);
  assert.is(stranger.stdout, '');
});

test('--help has the key’s line and the allowed commands', async () => {
  const { code, stdout } = await startScript('ssh-command', ['--help'], { PATH: process.env.PATH! }).ended;
  assert.is(code, 0);
  assert.match(stdout, /restrict,command="\S+ --env production" ssh-ed25519/);
  for (const verb of ['deploy', 'rollback', 'health-check', 'follow'])
    assert.match(stdout, new RegExp(`^ {2}${verb}`, 'm'));
});

test('the server stops', stop);

test.run();
