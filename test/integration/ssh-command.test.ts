/** The forced command of a deploy key, through a real sshd. */
import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { withLock } from '../../scripts/lib/lock.ts';
import { startReceiver } from '../support/receiver.ts';
import { SSH_SCRIPTS } from '../support/ssh-scripts.ts';
import { type SshServer, startSshServer } from '../support/sshd.ts';
import { startScript, until } from '../support/world.ts';

const DIGESTS = [`sha256:${'0a'.repeat(32)}`, `sha256:${'1b'.repeat(32)}`];

async function onServer(body: (server: SshServer) => Promise<void>, forced?: string): Promise<void> {
  const server = await startSshServer(SSH_SCRIPTS, forced);
  try {
    mkdirSync(state(server), { recursive: true });
    await body(server);
  } finally {
    release(server);
    await server.stop();
  }
}

const state = ({ root }: SshServer, name = '') => join(root, 'state', name);
const hold = (server: SshServer) => writeFileSync(state(server, 'hold'), '');
const release = (server: SshServer) => rmSync(state(server, 'hold'), { force: true });

const runsOf = ({ root }: SshServer): string[] =>
  existsSync(join(root, 'logs'))
    ? readdirSync(join(root, 'logs')).filter(name => name !== 'ssh-command.log')
    : [];
const logged = ({ root }: SshServer) => readFileSync(join(root, 'logs/ssh-command.log'), 'utf8');

function ends(server: SshServer): { script: string; exitCode: number; arguments: string[] }[] {
  if (!existsSync(state(server, 'history.jsonl'))) return [];
  return readFileSync(state(server, 'history.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
}

/** Of the processes that `pid` started, and so on, those whose command line matches. */
function descendants(pid: number, pattern: RegExp): number[] {
  const rows = execFileSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map(row => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(row)!)
    .map(([, id, parent, args]) => ({ id: Number(id), parent: Number(parent), args: args! }));
  const below = (parent: number): typeof rows =>
    rows.filter(row => row.parent === parent).flatMap(row => [row, ...below(row.id)]);
  return below(pid)
    .filter(({ args }) => pattern.test(args))
    .map(({ id }) => id);
}

const read = ({ root }: SshServer, name: string) => readFileSync(join(root, 'logs', name), 'utf8');

async function untilAtWork(server: SshServer): Promise<void> {
  await until('it is at work', () =>
    runsOf(server).some(name => name.endsWith('.log') && read(server, name).includes('at work')),
  );
}

test('what a key may say, with what comes of it', () =>
  onServer(async server => {
    for (const [said, expected] of [
      ['deploy v2.4.0', { verb: 'deploy', positionals: ['v2.4.0'], options: { yes: true } }],
      ['deploy latest --surge', { positionals: ['latest'], options: { yes: true, surge: true } }],
      [`deploy ${DIGESTS.join(' ')}`, { positionals: DIGESTS, options: { yes: true } }],
      ['deploy v2 --plan', { options: { plan: true } }],
      ['deploy v2 --surge --plan', { options: { plan: true, surge: true } }],
      ['rollback', { verb: 'rollback', positionals: [], options: { yes: true } }],
      ['rollback v2.3.0', { positionals: ['v2.3.0'], options: { yes: true } }],
      ['rollback sha256:0a0a0a0a0a0a', { positionals: ['sha256:0a0a0a0a0a0a'], options: { yes: true } }],
      ['rollback --list', { options: { list: true } }],
      ['health-check', { verb: 'health-check', options: {} }],
      ['health-check --verbose', { options: { verbose: true } }],
      ['health-check --json', { options: { json: true } }],
    ] as const) {
      const { code, stdout, stderr } = await server.run([said]);
      assert.is(code, 0, `${said}: ${stderr}`);
      const told = JSON.parse(said.endsWith('--json') ? stdout : stdout.trim().split('\n').at(-1)!);
      assert.equal(told.options, { ...expected.options, env: 'production' }, said);
      assert.is(told.environment, 'production');
      if ('positionals' in expected) assert.equal(told.positionals, expected.positionals);
      if ('verb' in expected) assert.is(told.verb, expected.verb);
    }
  }));

test('exit codes come through', () =>
  onServer(async server => {
    for (const code of [1, 3, 75]) assert.is((await server.run([`deploy exits-${code}`])).code, code);
    for (const code of [1, 2]) {
      writeFileSync(state(server, 'health'), String(code));
      assert.is((await server.run(['health-check'])).code, code);
    }
    assert.equal(
      ends(server).map(({ exitCode }) => exitCode),
      [1, 3, 75],
    );
  }));

test('all that it prints arrives', () =>
  onServer(async server => {
    const { code, stdout } = await server.run(['deploy talks']);
    assert.is(code, 0);
    assert.is(stdout.match(/^0123456789abcde$/gm)?.length, 200_000);
  }));

test('all else is refused, logged, and starts nothing', () =>
  onServer(async server => {
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
      `${server.root}/scripts/deploy.ts v1`,
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
    const refuse = async (said: string) => {
      const { code, stdout, stderr } = await server.run([said]);
      assert.is(code, 2, `${JSON.stringify(said)} was not refused: ${stdout}${stderr}`);
      assert.is(stdout, '');
      assert.match(stderr, /this key may not run .*\n {2}→ it may say:\n {6}deploy /);
      assert.not.match(stderr, /this is a bug|uid=/);
      const shown = JSON.stringify(said);
      assert.ok(logged(server).includes(`this key may not run ${shown}, asked from 127.0.0.1`), shown);
    };
    while (commands.length > 0) await Promise.all(commands.splice(0, 6).map(refuse));
    assert.equal(runsOf(server), []);
    assert.equal(ends(server), []);
    assert.is(statSync(join(server.root, 'logs/ssh-command.log')).mode & 0o777, 0o600);
  }));

test('no shell, no terminal, no file transfer', () =>
  onServer(async server => {
    const shell = await server.run([]);
    assert.is(shell.code, 2);
    assert.match(shell.stderr, /may not run a shell/);
    const terminal = await server.run(['health-check'], ['-tt']);
    assert.match(terminal.stderr, /PTY allocation request failed/);
    const sftp = await server.run(['sftp'], ['-s']);
    assert.is(sftp.code, 2);
    assert.is(sftp.stdout, '');
    assert.match(logged(server), /may not run "[^"]*sftp[^"]*"/); // a subsystem's stderr is not sent
    const { PORT, LOGIN } = server.connection;
    const options = server.options.map(option => (option === '-p' ? '-P' : option));
    for (const protocol of ['-O', '-s']) {
      assert.throws(
        () =>
          execFileSync(
            'scp',
            [protocol, ...options, '/etc/hostname', `${LOGIN}@127.0.0.1:${server.root}/copied`],
            { stdio: 'pipe' },
          ),
        PORT,
      );
    }
    assert.not.ok(existsSync(join(server.root, 'copied')));
  }));

test('no forwarding: of ports, agent or display', () =>
  onServer(async server => {
    const inside = await startReceiver();
    const agent = spawn('ssh-agent', ['-D', '-a', join(server.root, 'agent')], { stdio: 'ignore' });
    try {
      const port = new URL(inside.url).port;
      const through = await server.run([], ['-W', `127.0.0.1:${port}`]);
      assert.is(through.code, 255);
      assert.match(through.stderr, /administratively prohibited/);
      const back = await server.run(
        ['health-check'],
        ['-o', 'ExitOnForwardFailure=yes', '-R', `127.0.0.1:0:127.0.0.1:${port}`],
      );
      assert.is(back.code, 255);
      assert.match(back.stderr, /remote port forwarding failed/);
      await until('the agent listens', () => existsSync(join(server.root, 'agent')));
      const { code, stdout } = await server.run(
        ['health-check'],
        ['-o', `ForwardAgent=${join(server.root, 'agent')}`, '-X'],
      );
      assert.is(code, 0);
      const { agent: seen, display } = JSON.parse(stdout);
      assert.equal([seen, display], [undefined, undefined]);
      assert.equal(inside.received, []);
    } finally {
      agent.kill();
      await inside.stop();
    }
  }));

test('the client chooses no environment', () =>
  onServer(async server => {
    const { code, stdout } = await server.run(
      ['health-check'],
      ['-o', 'SetEnv=DEPLOY_ENV=production LC_ALL=C STATE_DIR=/tmp'],
    );
    assert.is(code, 0);
    const { environment, locale } = JSON.parse(stdout);
    assert.is(locale, 'C', 'what sshd lets through arrives, so that the test tests something');
    assert.is(environment, 'staging');
  }, '--env staging'));

test('a key whose line names no environment may do nothing', () =>
  onServer(async server => {
    const { code, stderr } = await server.run(['health-check']);
    assert.is(code, 2);
    assert.match(stderr, /no --env/);
  }, ''));

test('another key gets nowhere', () =>
  onServer(async server => {
    const stranger = server.options[server.options.indexOf('-i') + 1]!.replace(/key$/, 'stranger');
    const options = server.options.map(option => (option.endsWith('/key') ? stranger : option));
    const { LOGIN } = server.connection;
    assert.throws(
      () => execFileSync('ssh', [...options, `${LOGIN}@127.0.0.1`, 'health-check'], { stdio: 'pipe' }),
      /Permission denied/,
    );
  }));

for (const [who, cut] of [
  ['the client', (_: SshServer, client: number) => [client]],
  ['sshd’s side of it', (server: SshServer) => descendants(server.pid, /^sshd: /)],
] as const) {
  test(`a connection that is cut, ${who} killed: the deploy goes on to its end`, () =>
    onServer(async server => {
      hold(server);
      const first = server.start(['deploy v2']);
      await untilAtWork(server);
      const victims = cut(server, first.child.pid!);
      assert.ok(victims.length > 0);
      for (const pid of victims) process.kill(pid, 'SIGKILL');
      assert.is.not((await first.ended).code, 0);
      assert.equal(ends(server), []);
      const second = server.start(['follow']);
      release(server);
      const { code, stdout } = await second.ended;
      assert.is(code, 0);
      assert.match(stdout, /^at work, process \d+\n\{.*"v2".*\}\n$/);
      assert.equal(
        ends(server).map(({ script, exitCode }) => [script, exitCode]),
        [['deploy.ts', 0]],
      );
    }));
}

for (const signal of ['SIGHUP', 'SIGTERM', 'SIGINT', 'SIGKILL'] as const) {
  test(`${signal} to what follows the deploy, and to its process group, does not reach it`, () =>
    onServer(async server => {
      hold(server);
      const first = server.start(['deploy exits-3']);
      await untilAtWork(server);
      const [follower] = descendants(server.pid, /^\S*node (--\S+ )*\S*ssh-command\.ts/);
      assert.ok(follower);
      const group = Number(execFileSync('ps', ['-o', 'pgid=', '-p', String(follower)], { encoding: 'utf8' }));
      process.kill(-group, signal);
      await first.ended;
      assert.equal(ends(server), []);
      release(server);
      await until('it has ended', () => ends(server).length > 0);
      assert.is((await server.run(['follow'])).code, 3);
    }));
}

test('a second one while one runs: 75; follow attaches to the one that runs', () =>
  onServer(async server => {
    hold(server);
    const first = server.start(['deploy exits-3 --run first']);
    await untilAtWork(server);
    for (const said of ['deploy v3', 'rollback', 'deploy v2 --run second']) {
      const { code, stderr } = await server.run([said]);
      assert.is(code, 75);
      assert.match(stderr, /a deploy is running: first\n {2}→ follow first shows it/);
    }
    assert.is((await server.run(['deploy v3 --plan'])).code, 0, 'looking is free');
    const second = server.start(['follow']);
    const third = server.start(['follow first']);
    release(server);
    assert.equal(
      (await Promise.all([first, second, third].map(({ ended }) => ended))).map(({ code }) => code),
      [3, 3, 3],
    );
    assert.equal(
      ends(server).map(({ exitCode }) => exitCode),
      [0, 3],
      'the plan and the first',
    );
  }));

test('the same --run said again starts no second one, while it runs and afterwards', () =>
  onServer(async server => {
    hold(server);
    const said = 'deploy exits-3 --run 4711-1';
    const first = server.start([said]);
    await untilAtWork(server);
    const again = server.start([said]);
    release(server);
    const [{ stdout }, repeated] = await Promise.all([first.ended, again.ended]);
    assert.equal([repeated.code, repeated.stdout], [3, stdout]);
    const late = await server.run([said]);
    assert.equal([late.code, late.stdout], [3, stdout]);
    assert.is(ends(server).length, 1);
    assert.is((await server.run(['deploy v2 --run 4711-2'])).code, 0);
    assert.is((await server.run(['rollback --run 4711-1'])).code, 0);
    assert.equal(
      ends(server).map(({ script }) => script),
      ['deploy.ts', 'deploy.ts', 'rollback.ts'],
    );
    assert.is((await server.run(['follow 4711-2'])).code, 0);
    assert.is((await server.run(['follow 4711'])).code, 2);
  }));

test('a lock that somebody else holds: the script’s own 75', () =>
  onServer(async server => {
    await withLock(state(server), 'production', 'backup.ts', async () => {
      const { code, stdout } = await server.run(['deploy v2']);
      assert.is(code, 75);
      assert.match(stdout, /another run holds .*backup\.ts/);
    });
  }));

test('a run that was killed with all that waits for it: follow says so', () =>
  onServer(async server => {
    assert.is((await server.run(['follow'])).code, 2, 'there is none yet');
    hold(server);
    const first = server.start(['deploy v2']);
    await untilAtWork(server);
    const [log] = runsOf(server).filter(name => name.endsWith('.log'));
    const worker = /process (\d+)/.exec(read(server, log!))![1]!;
    const group = Number(execFileSync('ps', ['-o', 'pgid=', '-p', worker], { encoding: 'utf8' }));
    process.kill(-group, 'SIGKILL');
    const { code, stderr } = await first.ended;
    assert.is(code, 1);
    assert.match(stderr, /ended without an exit code.*\n {2}→ run deploy again/);
    assert.is((await server.run(['follow'])).code, 1);
    release(server);
    assert.is((await server.run(['deploy v3'])).code, 0, 'it stops nobody');
  }));

test('a run that lost only what waits for it stays the one that runs', () =>
  onServer(async server => {
    hold(server);
    const first = server.start(['deploy v2']);
    await untilAtWork(server);
    const [log] = runsOf(server).filter(name => name.endsWith('.log'));
    const worker = /process (\d+)/.exec(read(server, log!))![1]!;
    process.kill(Number(execFileSync('ps', ['-o', 'ppid=', '-p', worker], { encoding: 'utf8' })), 'SIGKILL');
    const { code, stderr } = await server.run(['rollback']);
    assert.is(code, 75);
    assert.match(stderr, /a deploy is running/);
    release(server);
    assert.is((await first.ended).code, 1);
    assert.equal(
      ends(server).map(({ script, exitCode }) => [script, exitCode]),
      [['deploy.ts', 0]],
    );
  }));

test('of a hundred runs and more, the oldest are forgotten', () =>
  onServer(async server => {
    const logs = join(server.root, 'logs');
    mkdirSync(logs, { recursive: true });
    for (let day = 1; day <= 120; day++) {
      const began = new Date(Date.UTC(2026, 0, day));
      const path = join(logs, `deploy-${began.toISOString().slice(0, 10).replaceAll('-', '')}_000000-${day}`);
      writeFileSync(`${path}.log`, '');
      writeFileSync(`${path}.exit`, '0\n');
      utimesSync(`${path}.exit`, began, began);
    }
    const { code, stderr } = await server.run(['deploy v2 --run last']);
    assert.is(code, 0, stderr);
    const kept = runsOf(server);
    assert.is(kept.length, 2 * 101, 'a hundred, and the new one');
    assert.ok(kept.some(name => name.endsWith('-21.log')) && !kept.some(name => name.endsWith('-20.exit')));
    assert.is((await server.run(['follow 20'])).code, 2);
  }));

test('only the owner reads what a run printed', () =>
  onServer(async server => {
    await server.run(['deploy v2']);
    const files = runsOf(server);
    assert.is(files.length, 2);
    for (const name of files) assert.is(statSync(join(server.root, 'logs', name)).mode & 0o777, 0o600);
  }));

test('--help has the key’s line and all that it may say', async () => {
  const { code, stdout } = await startScript('ssh-command', ['--help'], { PATH: process.env.PATH! }).ended;
  assert.is(code, 0);
  assert.match(stdout, /restrict,command="\S+ --env production" ssh-ed25519/);
  for (const verb of ['deploy', 'rollback', 'health-check', 'follow'])
    assert.match(stdout, new RegExp(`^ {2}${verb}`, 'm'));
});

test.run();
