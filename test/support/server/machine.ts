/**
 * A server of its own: a root file system made by debootstrap, with systemd as process 1 and a network of two: the server and
 * somebody outside. Nothing of it reaches the machine that runs the test.
 */
import type { ChildProcess } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import { word } from '../../../scripts/lib/core/command-line.ts';
import { attempt, type Result, run } from '../../engine/process.ts';
import { startChild } from '../core/child.ts';
import { until } from '../core/world.ts';
import { RELAY, startProxy } from './proxy.ts';
import { rootOf, type Suite } from './roots.ts';

/** Where the repository is on the server. */
export const REPOSITORY = '/opt/acme';
export const SERVER = '198.51.100.1';
export const OUTSIDE = '198.51.100.2';
const PROXY_PORT = 3142;
const CGROUPS = '/sys/fs/cgroup';
/** Of both versions, where the tests' machine has both: containers get limits of processors and memory from the first one. */
const HIERARCHIES = existsSync(join(CGROUPS, 'unified'))
  ? readdirSync(CGROUPS).filter(name => existsSync(join(CGROUPS, name, 'cgroup.procs')))
  : [];
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface Machine {
  /** Runs a line of bash as root, with a bare environment. */
  attempt: (line: string, env?: Record<string, string>) => Promise<Result>;
  /** The same. @returns its stdout @throws where it fails */
  run: (line: string, env?: Record<string, string>) => Promise<string>;
  /** Runs a program of the tests' machine in the network outside. */
  outside: (argv: string[]) => Promise<Result>;
  /** Runs one of the scripts. */
  script: (line: string) => Promise<Result>;
  /** Ends it as a loss of power does, and starts it. */
  reboot: () => Promise<void>;
  /** Runs a line of bash of the server's, with the output of a command of the tests' machine as its input. */
  feed: (argv: string[], line: string, env?: NodeJS.ProcessEnv) => Promise<void>;
  /** Writes a file of the server. */
  write: (path: string, text: string, mode?: number) => Promise<void>;
  close: () => Promise<void>;
  /** The files of private keys: of the workflow, and of an operator whose key root has. */
  key: string;
  operatorKey: string;
  /** The arguments of a command in the network outside. */
  outsideArgv: (argv: string[]) => string[];
}

let machines = 0;

/**
 * Starts a server with the repository at {@link REPOSITORY} and an env file.
 * @param options limits: whether its containers can have limits of processors and memory; systemd of Debian 13 does not start
 *   then. bare: without the repository and the env file.
 */
export async function startMachine(suite: Suite, { limits = false, bare = false } = {}): Promise<Machine> {
  const { root, archive } = await rootOf(suite);
  const directory = mkdtempSync(join(tmpdir(), 'server-'));
  const name = `server-${process.pid}-${machines++}`;
  const [inside, outside] = [`${name}-in`, `${name}-out`];
  const hierarchies = limits ? HIERARCHIES : [];
  const second = HIERARCHIES.length > 0 ? join(CGROUPS, 'unified') : CGROUPS;
  const groups = [
    second,
    ...hierarchies.filter(each => each !== 'unified').map(each => join(CGROUPS, each)),
  ].map(each => join(each, name));
  let init: ChildProcess | undefined;
  let pid = 0;
  const ip = (...args: string[]) => run('ip', args);

  const boot = async () => {
    const script = join(import.meta.dirname, 'boot.sh');
    const namespaces = ['--mount', '--uts', '--ipc', '--pid', '--cgroup', '--fork', '--kill-child'];
    const own = groups.map(group => `echo $$ >${group}/cgroup.procs; `).join('');
    const enter = `${own}exec nsenter --net=/run/netns/${inside} unshare ${namespaces.join(' ')} --propagation=private "$@"`;
    const argv = [
      '-c',
      enter,
      'enter',
      script,
      root,
      directory,
      bare ? 'none' : ROOT,
      archive,
      ...hierarchies,
    ];
    const child = startChild('bash', argv, { detached: true });
    init = child.process;
    await until('the server has a process 1', async () => {
      if (child.process.exitCode !== null) throw new Error(child.output());
      const children = await attempt('pgrep', ['-P', String(child.process.pid)]);
      pid = Number(children.stdout.trim());
      return pid > 0;
    });
    const ready = async () => (await enterAttempt('systemctl is-system-running')).stdout.trim();
    await until('the server has started', async () => /running|degraded/.test(await ready()), 120);
  };
  const halt = async () => {
    if (!init || init.exitCode !== null) return;
    const ended = new Promise(resolve => init!.once('close', resolve));
    process.kill(pid, 'SIGKILL');
    await ended;
  };
  const enterAttempt = (line: string, env: Record<string, string> = {}) => {
    const variables = Object.entries({ PATH, HOME: '/root', LANG: 'C.UTF-8', ...env });
    const clean = ['env', '-i', ...variables.map(([key, value]) => `${key}=${value}`)];
    return attempt('nsenter', ['--target', String(pid), '--all', '--', ...clean, 'bash', '-c', line], {
      timeout: 1_500_000,
    });
  };
  const must = async (line: string, env?: Record<string, string>) => {
    const { code, stdout, stderr } = await enterAttempt(line, env);
    if (code !== 0) throw new Error(`${line}: exit status ${code}\n${stdout}${stderr}`);
    return stdout.trimEnd();
  };

  await ip('netns', 'add', inside);
  await ip('netns', 'add', outside);
  await ip('link', 'add', 'eth0', 'netns', inside, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside);
  for (const [network, address] of [
    [inside, SERVER],
    [outside, OUTSIDE],
  ] as const) {
    await ip('-n', network, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    for (const link of ['lo', 'eth0']) await ip('-n', network, 'link', 'set', link, 'up');
  }
  for (const group of groups) {
    mkdirSync(group);
    // A new group has no processors.
    for (const file of ['cpuset.cpus', 'cpuset.mems'])
      if (existsSync(join(group, file)) && group.includes('/cpuset/'))
        writeFileSync(join(group, file), readFileSync(join(dirname(group), file)));
  }
  const socket = join(directory, 'proxy');
  const proxy = await startProxy(socket);
  const relay = startChild('nsenter', [
    `--net=/run/netns/${inside}`,
    process.execPath,
    '-e',
    RELAY,
    socket,
    String(PROXY_PORT),
  ]);
  await relay.line(/^relays$/);

  const outsideArgv = (argv: string[]) => ['nsenter', `--net=/run/netns/${outside}`, ...argv];

  const machine: Machine = {
    key: join(directory, 'workflow'),
    operatorKey: join(directory, 'operator'),
    outsideArgv,
    attempt: enterAttempt,
    run: must,
    outside: argv => attempt('nsenter', outsideArgv(argv).slice(1)),
    script: line => enterAttempt(`cd ${REPOSITORY} && ./scripts/${line}`),
    reboot: async () => {
      await halt();
      await boot();
    },
    feed: async (argv, line, env = process.env) => {
      const enter = ['nsenter', '--target', String(pid), '--all', '--', 'env', '-i', `PATH=${PATH}`];
      const pipe = [argv, [...enter, 'bash', '-c', line]].map(each => each.map(word).join(' ')).join(' | ');
      await run('bash', ['-o', 'pipefail', '-c', pipe], { env });
    },
    write: async (path, text, mode = 0o644) => {
      const file = join(directory, 'text');
      writeFileSync(file, text);
      const target = `cat >'${path}' && chmod ${mode.toString(8)} '${path}'`;
      const argv = ['--target', String(pid), '--all', '--', 'sh', '-c', target];
      const { code, stderr } = await attempt('bash', ['-c', 'nsenter "$@" <"$0"', file, ...argv]);
      if (code !== 0) throw new Error(stderr);
    },
    close: async () => {
      await halt();
      await relay.stop();
      proxy.stop();
      for (const network of [inside, outside]) await ip('netns', 'del', network);
      await attempt('find', [...groups, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';']);
      // For the next machines. A rename is whole, whoever else does the same.
      const keep =
        'for deb in "$1"/apt.upper/*.deb; do [ -f "$deb" ] && cp "$deb" "$2/.$$" && mv "$2/.$$" "$2/$(basename "$deb")"; done';
      await attempt('bash', ['-c', keep, 'bash', directory, archive]);
      rmSync(directory, { recursive: true, force: true });
    },
  };
  try {
    await boot();
    const own = await run('apt-config', ['dump']);
    // How the tests' machine judges its mirror holds here too.
    const checks = (own.match(/^Acquire::Check-.*;$/gm) ?? []).join('\n');
    const proxied = `Acquire::http::Proxy "http://127.0.0.1:${PROXY_PORT}";\nAcquire::Languages "none";\n${checks}\n`;
    await machine.write('/etc/apt/apt.conf.d/90test', proxied);
    const makeKey = async (file: string, name: string) => {
      await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', file]);
      return readFileSync(`${file}.pub`, 'utf8').trim();
    };
    const workflow = await makeKey(machine.key, 'workflow');
    await must('mkdir -p /root/.ssh && chmod 700 /root/.ssh');
    await machine.write(
      '/root/.ssh/authorized_keys',
      `${await makeKey(machine.operatorKey, 'operator')}\n`,
      0o600,
    );
    const example = readFileSync(join(ROOT, '.env.example'), 'utf8');
    const envFile = example
      .replace(/^APP_NAME=.*$/m, 'APP_NAME=acme')
      .replace(/^DEPLOY_AUTHORIZED_KEYS=.*$/m, `DEPLOY_AUTHORIZED_KEYS='${workflow}'`);
    if (!bare) await machine.write(`${REPOSITORY}/.env.production`, envFile, 0o600);
  } catch (error) {
    await machine.close();
    throw error;
  }
  return machine;
}
