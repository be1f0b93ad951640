/**
 * Who uses the engine of the tests. Each run holds a shared lock while it works; the last one to leave ends the
 * engine, if it was a run that started it. So neither a run inside a run nor a second one beside it loses its engine,
 * one that was there before stays, and one that a killed run has left behind goes with the next.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { whyNoPackages } from './apt.ts';
import * as daemon from './daemon.ts';
import { type Engine, ensureEngine, stopEngine } from './engine.ts';

/** What is started and ended; the tests' engine but for the test of this file. */
export interface Startable<T> {
  isRunning: () => boolean;
  start: () => Promise<T>;
  stop: () => Promise<unknown>;
  /** For the locks. */
  directory: string;
}

export interface Lease<T> {
  engine: T;
  /** @returns whether this ended the engine */
  leave: () => Promise<boolean>;
}

const TESTS_ENGINE: Startable<Engine> = {
  isRunning: () => daemon.pid() !== undefined,
  start: ensureEngine,
  stop: stopEngine,
  directory: daemon.RUN,
};

/** @throws where there is no engine and none can be had, with what to install */
export async function leaseEngine(): Promise<Lease<Engine>> {
  // Only who can start an engine of our own has one to end.
  if (whyNoPackages()) return { engine: await ensureEngine(), leave: async () => false };
  return lease(TESTS_ENGINE);
}

/** @throws what `start` throws */
export async function lease<T>({ isRunning, start, stop, directory }: Startable<T>): Promise<Lease<T>> {
  mkdirSync(directory, { recursive: true });
  const startedByRun = join(directory, daemon.STARTED_BY_RUN);
  const users = openSync(join(directory, 'users.lock'), 'a');
  const leave = async () => {
    try {
      // Fails while another run holds the lock, too.
      const isLast = await flock(users, '--exclusive', '--nonblock').then(
        () => true,
        () => false,
      );
      if (!isLast || !existsSync(startedByRun)) return false;
      await stop();
      rmSync(startedByRun);
      return true;
    } finally {
      closeSync(users);
    }
  };
  let wasRunning = true;
  try {
    // Waits for a run that is ending the engine just now.
    await flock(users, '--shared', '--timeout', '300');
    wasRunning = isRunning();
    const engine = await start();
    if (!wasRunning && isRunning()) writeFileSync(startedByRun, '');
    return { engine, leave };
  } catch (error) {
    // Interrupted between its start and its first answer, the engine runs and nobody has it.
    if (!wasRunning && isRunning()) writeFileSync(startedByRun, '');
    await leave();
    throw error;
  }
}

/** Locks an open file of this process, which keeps the lock until it closes the file or dies. */
function flock(descriptor: number, ...options: string[]): Promise<void> {
  const child = spawn('flock', [...options, '3'], { stdio: ['ignore', 'ignore', 'inherit', descriptor] });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', code => (code === 0 ? resolve() : reject(new Error('another run holds the lock'))));
  });
}
