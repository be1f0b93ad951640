#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*/*}"; . "$root/scripts/node"'
/**
 * A Docker engine for the tests. One that answers on this machine is used as it is; on a Debian machine without
 * one, as root, this gets one: what the engine needs of the machine with apt-get, the engine itself from Debian
 * trixie (Debian 12's is too old for `start_interval`) into a cache directory, and starts it there.
 */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { install, unpack, whyNoPackages } from './apt.ts';
import * as daemon from './daemon.ts';
import { attempt, say, withLock } from './process.ts';

/** How to reach a Docker engine that has Compose v2 and buildx. */
export interface Engine {
  /** The whole environment for child processes: PATH finds `docker`, which finds its plugins and its engine. */
  env: NodeJS.ProcessEnv;
  /** Whether it is the one that this file started, which `stopEngine` ends. */
  own: boolean;
}

/** Where engine, images and downloads are kept between runs. */
export const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'neurmatic-test');

const SUITE = 'trixie';
const UNPACKED = ['docker.io', 'docker-cli', 'containerd', 'docker-compose', 'docker-buildx'];
// runc has to be the machine's: trixie's needs a newer C library than Debian 12 has.
const INSTALLED = ['runc', 'iptables', 'tini', 'libsystemd0', 'ca-certificates'];

const HOME = join(CACHE, 'engine');
const PROGRAMS = join(HOME, SUITE);
const PLUGINS = join(PROGRAMS, 'usr/libexec/docker/cli-plugins');
const LOCK = `${daemon.RUN}/lock`;

const REMEDY =
  'Install Docker Engine 25 or newer with Compose v2 and buildx (Debian 13: apt-get install docker.io docker-cli ' +
  'docker-compose docker-buildx; Ubuntu: apt-get install docker.io docker-compose-v2 docker-buildx; macOS: Docker ' +
  'Desktop), so that the user of the tests can run `docker version`.';

/**
 * An engine that answers, found or started. One that it starts keeps running for the processes after this
 * one; `stopEngine` ends it.
 * @throws where there is none and none can be had, with what to install.
 */
export async function ensureEngine(): Promise<Engine> {
  const found = await ambient();
  if (found.engine) return found.engine;
  const obstacle = whyNoPackages();
  if (obstacle) {
    throw new Error(
      `The stack tests need a Docker engine on this machine: ${found.why}, and none can be installed for them ` +
        `because ${obstacle}.\n${REMEDY}`,
    );
  }
  return withLock(LOCK, async () => {
    const running = daemon.pid();
    if (!running) say(`No Docker engine: ${found.why}. Starting one in ${HOME}`);
    await install(INSTALLED);
    mkdirSync(join(HOME, 'config'), { recursive: true });
    await unpack(SUITE, UNPACKED, PROGRAMS);
    // Whole or not at all: other processes' `docker` reads it at any moment.
    writeFileSync(join(HOME, 'config/config.json.new'), JSON.stringify({ cliPluginsExtraDirs: [PLUGINS] }));
    renameSync(join(HOME, 'config/config.json.new'), join(HOME, 'config/config.json'));
    const env = ownEnvironment();
    if (!running) await daemon.start(join(HOME, 'data'), env);
    const why = (await failing(['version'], env)) ?? (await failing(['compose', 'version'], env));
    if (why) throw new Error(`The engine of the tests won't do: ${why}\nEnd it: test/engine/engine.ts stop`);
    if (!running) say(`A Docker engine answers on ${daemon.SOCKET}`);
    return { env, own: true };
  });
}

/** Ends the engine that `ensureEngine` started, with all that runs in it. False: there was none. */
export function stopEngine(): Promise<boolean> {
  return withLock(LOCK, () => daemon.stop(ownEnvironment()));
}

/**
 * The engine that `docker` reaches as it is. One on another machine is none: the tests would tear stacks down.
 * @throws if one answers but won't do: two engines on one machine would take each other's firewall rules away.
 */
async function ambient(): Promise<{ engine?: Engine; why: string }> {
  const inspect = ['context', 'inspect', '--format', '{{.Endpoints.docker.Host}}'];
  const { code, stdout } = await attempt('docker', inspect);
  if (code === 127) return { why: 'there is no docker command' };
  const host = stdout.trim();
  if (host === daemon.SOCKET) return { why: 'DOCKER_HOST names that of the tests, which is not running' };
  if (!host.startsWith('unix://')) return { why: `docker is set to an engine elsewhere, ${host}` };
  const silent = await failing(['version'], process.env);
  if (silent) return { why: silent };
  const lack =
    (await failing(['compose', 'version'], process.env)) ??
    (await failing(['buildx', 'version'], process.env)) ??
    (await tooOld(process.env));
  if (lack) throw new Error(`The Docker engine at ${host} won't do for the stack tests: ${lack}\n${REMEDY}`);
  return { engine: { env: process.env, own: false }, why: '' };
}

/** Why `docker ARGS` fails in this environment, or undefined: it doesn't. */
async function failing(args: string[], env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { code, stderr } = await attempt('docker', args, { env, timeout: 30_000 });
  if (code === 0) return undefined;
  return (
    stderr.split('\n').find(line => line && !line.startsWith('WARNING')) ??
    `docker ${args.join(' ')} exits ${code}`
  );
}

/** API 1.44 is Engine 25, the first that knows a health check's `start_interval`. */
async function tooOld(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { stdout } = await attempt('docker', ['version', '--format', '{{.Server.APIVersion}}'], { env });
  const [major = 0, minor = 0] = stdout.split('.').map(Number);
  return major > 1 || minor >= 44 ? undefined : `its API is ${stdout.trim()}, older than Engine 25's 1.44`;
}

function ownEnvironment(): NodeJS.ProcessEnv {
  const programs = ['usr/bin', 'usr/sbin'].map(dir => join(PROGRAMS, dir));
  const rest = (process.env.PATH ?? '').split(':').filter(dir => !programs.includes(dir));
  return {
    ...process.env,
    PATH: [...programs, ...rest].join(':'),
    DOCKER_HOST: daemon.SOCKET,
    DOCKER_CONFIG: join(HOME, 'config'),
  };
}

const HELP = `Finds or starts the Docker engine of the tests.

Usage: test/engine/engine.ts start | env | stop

  start   make sure that one answers, and print its environment
  env     print the environment of the one that answers: eval "$(test/engine/engine.ts env)"
  stop    end the one that start began, and remove all containers in it

Exit codes: 0 done, 1 failed or none is running, 2 wrong usage.`;

async function main(): Promise<number> {
  const options = { help: { type: 'boolean' } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (values.help) return print(HELP, 0);
  switch (positionals.join(' ')) {
    case 'start':
      rmSync(join(daemon.RUN, daemon.STARTED_BY_RUN), { force: true }); // it stays until it is stopped in the same way
      return print(exports(await ensureEngine()), 0);
    case 'env': {
      const engine = (await ambient()).engine ?? (daemon.pid() && { env: ownEnvironment() });
      return engine ? print(exports(engine), 0) : 1;
    }
    case 'stop':
      say((await stopEngine()) ? 'The engine of the tests has ended' : 'No engine of the tests is running');
      return 0;
    default:
      say(HELP);
      return 2;
  }
}

/** Lines for a shell, after which its `docker` reaches the engine. */
export function exports({ env }: { env: NodeJS.ProcessEnv }): string {
  const names = ['DOCKER_HOST', 'DOCKER_CONFIG', 'PATH'].filter(name => env[name]);
  return names.map(name => `export ${name}='${env[name]}'`).join('\n');
}

function print(text: string, code: number): number {
  process.stdout.write(`${text}\n`);
  return code;
}

if (import.meta.main) {
  process.exitCode = await main().catch((error: Error) => {
    say(error.message);
    return error.message.includes('Unknown option') ? 2 : 1;
  });
}
