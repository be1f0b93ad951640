/**
 * The engine of our own: one dockerd a machine, without systemd, that keeps out of the way of any other. Its
 * programs and data are in a cache directory, its socket, process id and log under /run, so that every process
 * of this machine finds it, and a reboot forgets it. dockerd starts and ends its own containerd.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { attempt, run, say } from './process.ts';

export const RUN = '/run/neurmatic-test-engine';
/** In that directory while the engine is one that a run of the tests started, and the last run is to end. */
export const STARTED_BY_RUN = 'started-by-run';
export const SOCKET = `unix://${RUN}/docker.sock`;
const PID_FILE = `${RUN}/docker.pid`;
const LOG = `${RUN}/dockerd.log`;

/** The process id of our dockerd, or undefined: a pid file alone may name a process that took the number over. */
export function pid(): number | undefined {
  return pidIn(PID_FILE, `--pidfile=${PID_FILE}`);
}

/**
 * Starts dockerd with `env` (PATH has its programs) and waits until it answers. The engine is ours alone, so
 * containers, networks and volumes that it finds are left over from a run that was killed: it removes them.
 */
export async function start(data: string, env: NodeJS.ProcessEnv): Promise<void> {
  mkdirSync(`${RUN}/exec`, { recursive: true, mode: 0o711 });
  // dockerd and containerd refuse to start while their pid files name a living process, whatever that is.
  const containerd = `${RUN}/exec/containerd/containerd.pid`;
  if (!pid()) rmSync(PID_FILE, { force: true });
  if (!pidIn(containerd, RUN)) rmSync(containerd, { force: true });

  const log = openSync(LOG, 'w', 0o600);
  const paths = [`--data-root=${data}`, `--exec-root=${RUN}/exec`, `--pidfile=${PID_FILE}`];
  const options = [
    `--host=${SOCKET}`,
    '--group=0',
    '--init-path=/usr/bin/tini-static',
    // Docker's own pools hold about 30 networks, and a stack has four.
    '--default-address-pool=base=10.201.0.0/16,size=24',
  ];
  const child = spawn('dockerd', [...paths, ...options], {
    env,
    detached: true,
    stdio: ['ignore', log, log],
  });
  let ended = '';
  child.once('error', error => {
    ended = error.message;
  });
  child.once('exit', (code, signal) => {
    ended = `dockerd exited with ${signal ?? code}`;
  });
  child.unref();

  for (const end = Date.now() + 60_000; !(await answers(env)); await sleep(100)) {
    if (ended || Date.now() > end) {
      const lines = readFileSync(LOG, 'utf8').trimEnd().split('\n');
      throw new Error(
        `dockerd did not start: ${ended || 'no answer in 60 s'}\n${lines.slice(-10).join('\n')}`,
      );
    }
  }
  await sweep(env);
}

/** Removes what runs in our engine and ends it. Images and the build cache stay. False: there was none. */
export async function stop(env: NodeJS.ProcessEnv): Promise<boolean> {
  const running = pid();
  if (!running) return false;
  if (await answers(env)) await sweep(env);
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    process.kill(running, signal);
    for (const end = Date.now() + 30_000; Date.now() < end; await sleep(50)) {
      if (!pid()) return true;
    }
    say(`dockerd (${running}) is still there 30 s after ${signal}`);
  }
  throw new Error(`dockerd (${running}) can't be stopped\nSee its log: ${LOG}`);
}

async function answers(env: NodeJS.ProcessEnv): Promise<boolean> {
  return (await attempt('docker', ['version'], { env, timeout: 10_000 })).code === 0;
}

async function sweep(env: NodeJS.ProcessEnv): Promise<void> {
  const ids = (await run('docker', ['ps', '--all', '--quiet'], { env })).split('\n').filter(Boolean);
  if (ids.length > 0) await run('docker', ['rm', '--force', '--volumes', ...ids], { env });
  await run('docker', ['network', 'prune', '--force'], { env });
  await run('docker', ['volume', 'prune', '--all', '--force'], { env });
}

function pidIn(file: string, mark: string): number | undefined {
  if (!existsSync(file)) return undefined;
  const number = Number(readFileSync(file, 'utf8'));
  try {
    return readFileSync(`/proc/${number}/cmdline`, 'utf8').includes(mark) ? number : undefined;
  } catch {
    return undefined;
  }
}
