/** The forced command of a deploy key, through a real sshd. What it accepts: test/cli/ssh-command.test.ts. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createSshPlaces } from '../support/cli/ssh-places.ts';
import { startProgram, until } from '../support/core/world.ts';
import { startReceiver } from '../support/notify/receiver.ts';

const { server, place, stop } = await createSshPlaces();

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

test('the client can’t choose the environment', async () => {
  const { run } = place('--env staging');
  const { code, stdout } = await run(
    ['health-check'],
    ['-o', 'SetEnv=DEPLOY_ENV=production LC_ALL=C STATE_DIR=/nowhere'],
  );
  assert.is(code, 0);
  // That sshd lets LC_ALL through shows that the client did send them.
  assert.match(stdout, /^locale:C agent: display: deploy_env:\nhealth-check --env staging\n$/);
});

test('a key whose line names no environment runs nothing, and an unknown key is refused', async () => {
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

test('the server stops', stop);

test.run();
