/**
 * A server of its own: a root file system made by debootstrap, with systemd as process 1 and a network of two: the server and
 * somebody outside. Nothing of it reaches the machine that runs the test.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import { word } from '../../../scripts/lib/core/command-line.ts';
import { attempt, type Result, run } from '../../engine/process.ts';
import { type Child, startChild } from '../core/child.ts';
import { until } from '../core/world.ts';
import { makePlace, type Place } from './place.ts';
import { RELAY, startProxy } from './proxy.ts';
import { copyRepository } from './repository.ts';
import { rootOf, type Suite } from './roots.ts';

export { OUTSIDE, SERVER } from './place.ts';

/** Where the repository is on the server. */
export const REPOSITORY = '/opt/acme';
const PROXY_PORT = 3142;
/** On the server. */
export const PROXY = `http://127.0.0.1:${PROXY_PORT}`;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Whoever kills the test ends the server, too. */
const startBound = (argv: string[]) =>
  startChild('setpriv', ['--pdeathsig', 'KILL', ...argv], { detached: true });

export interface Machine {
  /** Runs a line of bash as root, with a bare environment. */
  attempt: (line: string, env?: Record<string, string>) => Promise<Result>;
  /** The same. @returns its stdout @throws where it fails */
  run: (line: string, env?: Record<string, string>) => Promise<string>;
  /** Runs one of the scripts. */
  script: (line: string) => Promise<Result>;
  /** Runs a program of the tests' machine in the network outside. */
  outside: (argv: string[]) => Promise<Result>;
  /** Its arguments. */
  outsideArgv: (argv: string[]) => string[];
  /** Runs a line of bash of the server's, with the output of a command of the tests' machine as its input. */
  feed: (argv: string[], line: string, env?: NodeJS.ProcessEnv) => Promise<void>;
  /** Writes a file of the server. */
  write: (path: string, text: string, mode?: number) => Promise<void>;
  /** The files of private keys: of the workflow, and of an operator whose key root has. */
  key: string;
  operatorKey: string;
  /** Ends it as a loss of power does, and starts it. */
  reboot: () => Promise<void>;
  close: () => Promise<void>;
}

/**
 * Starts a server with the repository at {@link REPOSITORY} and an env file.
 * @param options limits: whether its containers can have limits of processors and memory; systemd of Debian 13 does not start
 *   then. bare: without the repository and the env file.
 */
export async function startMachine(suite: Suite, { limits = false, bare = false } = {}): Promise<Machine> {
  const { root, archive } = await rootOf(suite);
  const place = await makePlace(limits);
  const { directory } = place;
  const repository = bare ? 'none' : join(directory, 'repository');
  if (!bare) await copyRepository(repository);
  const boot = () => bootIn(place, [root, directory, repository, archive, ...place.hierarchies]);
  const proxy = await startProxy(join(directory, 'proxy'));
  const network = ['nsenter', `--net=${place.inside}`, process.execPath, '-e', RELAY];
  const relay = startBound([...network, join(directory, 'proxy'), String(PROXY_PORT)]);
  let system = await boot().catch(async error => {
    await relay.stop();
    proxy.stop();
    throw error; // the next place removes what is left of this one
  });
  const outsideArgv = (argv: string[]) => ['nsenter', `--net=${place.outside}`, ...argv];

  const machine: Machine = {
    key: join(directory, 'workflow'),
    operatorKey: join(directory, 'operator'),
    attempt: (line, env) => attemptIn(system.pid, line, env),
    run: async (line, env) => {
      const { code, stdout, stderr } = await machine.attempt(line, env);
      if (code !== 0) throw new Error(`${line}: exit status ${code}\n${stdout}${stderr}`);
      return stdout.trimEnd();
    },
    script: line => machine.attempt(`cd ${REPOSITORY} && ./scripts/${line}`),
    outsideArgv,
    outside: argv => attempt('nsenter', outsideArgv(argv).slice(1)),
    feed: async (argv, line, env = process.env) => {
      const pipe = [argv, ['nsenter', ...entering(system.pid, line)]];
      const text = pipe.map(each => each.map(word).join(' ')).join(' | ');
      await run('bash', ['-o', 'pipefail', '-c', text], { env });
    },
    write: async (path, text, mode = 0o644) => {
      const file = join(directory, 'text');
      writeFileSync(file, text);
      const target = word(path);
      await machine.feed(['cat', file], `cat >${target} && chmod ${mode.toString(8)} ${target}`);
    },
    reboot: async () => {
      await system.halt();
      system = await boot();
    },
    close: async () => {
      await system.halt();
      await relay.stop();
      proxy.stop();
      // For the next machines. A rename is whole, whoever else does the same.
      const keep =
        'cd "$1" && for deb in *.deb; do [ ! -f "$deb" ] || { cp "$deb" "$2/.$$" && mv "$2/.$$" "$2/$deb"; }; done';
      await attempt('bash', ['-c', keep, 'bash', join(directory, 'apt.upper'), archive]);
      await place.remove();
    },
  };
  try {
    await relay.line(/^relays$/);
    await furnish(machine, bare);
  } catch (error) {
    await machine.close();
    throw error;
  }
  return machine;
}

/** @returns its process 1, and how to end it */
async function bootIn(place: Place, args: string[]): Promise<{ pid: number; halt: () => Promise<void> }> {
  const own = place.groups.map(group => `echo $$ >${group}/cgroup.procs; `).join('');
  const namespaces = '--mount --uts --ipc --pid --cgroup --fork --kill-child --propagation=private';
  const enter = `${own}exec nsenter --net=${place.inside} unshare ${namespaces} "$@"`;
  const child = startBound(['bash', '-c', enter, 'bash', join(import.meta.dirname, 'boot.sh'), ...args]);
  const pid = await firstProcess(child);
  const ready = async () => (await attemptIn(pid, 'systemctl is-system-running')).stdout.trim();
  await until('the server has started', async () => /running|degraded/.test(await ready()), 120);
  return {
    pid,
    halt: async () => {
      const { exitCode, signalCode } = child.process;
      if (exitCode === null && signalCode === null) process.kill(pid, 'SIGKILL');
      await child.exited;
    },
  };
}

async function firstProcess(child: Child): Promise<number> {
  let pid = 0;
  await until('the server has a process 1', async () => {
    if (child.process.exitCode !== null) throw new Error(child.output());
    pid = Number((await attempt('pgrep', ['-P', String(child.process.pid)])).stdout.trim());
    return pid > 0;
  });
  return pid;
}

/** @returns arguments of nsenter */
function entering(pid: number, line: string, env: Record<string, string> = {}): string[] {
  const variables = Object.entries({ PATH, HOME: '/root', LANG: 'C.UTF-8', ...env });
  const clean = ['env', '-i', ...variables.map(([key, value]) => `${key}=${value}`)];
  return ['--target', String(pid), '--all', '--', ...clean, 'bash', '-c', line];
}

const attemptIn = (pid: number, line: string, env?: Record<string, string>) =>
  attempt('nsenter', entering(pid, line, env), { timeout: 1_500_000 });

/** What a provider and an operator give a server: a way to the packages, a key for root, the env file. */
async function furnish(machine: Machine, bare: boolean): Promise<void> {
  // How the tests' machine judges its mirror holds here, too.
  const checks = ((await run('apt-config', ['dump'])).match(/^Acquire::Check-.*;$/gm) ?? []).join('\n');
  const settings = `Acquire::http::Proxy "${PROXY}";\nAcquire::Languages "none";\n${checks}\n`;
  await machine.write('/etc/apt/apt.conf.d/90test', settings);
  const makeKey = async (file: string, name: string) => {
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', file]);
    return readFileSync(`${file}.pub`, 'utf8').trim();
  };
  await machine.run('mkdir -p /root/.ssh && chmod 700 /root/.ssh');
  const operator = await makeKey(machine.operatorKey, 'operator');
  await machine.write('/root/.ssh/authorized_keys', `${operator}\n`, 0o600);
  const workflow = await makeKey(machine.key, 'workflow');
  if (bare) return;
  const example = readFileSync(join(ROOT, '.env.example'), 'utf8');
  const envFile = example
    .replace(/^APP_NAME=.*$/m, 'APP_NAME=acme')
    .replace(/^DEPLOY_AUTHORIZED_KEYS=.*$/m, `DEPLOY_AUTHORIZED_KEYS='${workflow}'`);
  await machine.write(`${REPOSITORY}/.env.production`, envFile, 0o600);
}
