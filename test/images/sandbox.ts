/** Containers, networks, volumes and files of one test, all gone when it ends. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Engine, ensureEngine } from '../engine/engine.ts';
import { attempt, type Result, run } from '../engine/process.ts';
import { ensureImages } from './images.ts';

export class Sandbox {
  /** Prefixes what the test names, so that tests can run side by side. */
  readonly id = `test-${randomBytes(4).toString('hex')}`;
  readonly engine: Engine;
  readonly #directory = mkdtempSync(join(tmpdir(), `${this.id}-`));

  constructor(engine: Engine) {
    this.engine = engine;
  }

  /** Runs `docker ARGS`, which has to succeed, and gives what it prints. */
  docker(...args: string[]): Promise<string> {
    return run('docker', args, this.engine);
  }

  /** Runs `docker ARGS`, however it ends. */
  try(...args: string[]): Promise<Result> {
    return attempt('docker', args, this.engine);
  }

  /** Starts a container, by `docker run` arguments that end in image and command, and gives its name. */
  async start(name: string, ...args: string[]): Promise<string> {
    const full = `${this.id}-${name}`;
    await this.docker('run', '--detach', '--label', this.id, '--name', full, ...args);
    return full;
  }

  /** Runs a command in a new container to its end. */
  once(...args: string[]): Promise<Result> {
    return this.try('run', '--rm', '--label', this.id, ...args);
  }

  async network(): Promise<string> {
    await this.docker('network', 'create', '--label', this.id, this.id);
    return this.id;
  }

  async volume(): Promise<string> {
    return this.docker('volume', 'create', '--label', this.id);
  }

  /** Writes a file that containers can mount, with these permissions and root as its owner. */
  file(name: string, text: string | Uint8Array, mode = 0o644): string {
    const path = join(this.#directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, mode);
    chmodSync(this.#directory, 0o755);
    return path;
  }

  /** Stops a container as an operator does, and gives its exit code: 137 had to be killed. */
  async stop(container: string): Promise<number> {
    await this.docker('stop', '--time', '30', container);
    return Number(await this.docker('inspect', '--format', '{{.State.ExitCode}}', container));
  }

  /** User ids of the processes of a container whose command line contains `mark`. */
  async users(container: string, mark: string): Promise<string[]> {
    const rows = (await this.docker('top', container, '-eo', 'pid,uid,args')).split('\n').slice(1);
    const users = rows.filter(row => row.includes(mark)).map(row => row.trim().split(/\s+/)[1]!);
    return [...new Set(users)].sort();
  }

  /** Where a published port of a container is reached from this machine. */
  async url(container: string, port: number): Promise<string> {
    return `http://${(await this.docker('port', container, `${port}/tcp`)).split('\n')[0]}`;
  }

  async close(): Promise<void> {
    const list = async (...args: string[]) =>
      (await this.docker(...args, '--quiet', '--filter', `label=${this.id}`)).split('\n').filter(Boolean);
    for (const id of await list('ps', '--all')) await this.docker('rm', '--force', '--volumes', id);
    for (const id of await list('volume', 'ls')) await this.docker('volume', 'rm', id);
    for (const id of await list('network', 'ls')) await this.docker('network', 'rm', id);
    rmSync(this.#directory, { recursive: true });
  }
}

/** Gives `test` an engine that has the image, and a sandbox that is cleared up afterwards. */
export async function inSandbox(image: string, test: (box: Sandbox) => Promise<void>): Promise<void> {
  const engine = await ensureEngine();
  await ensureImages(engine, [image]);
  const box = new Sandbox(engine);
  try {
    await test(box);
  } finally {
    await box.close();
  }
}

/** Waits until `probe` gives something true, at most a minute. */
export async function until<T>(what: string, probe: () => Promise<T>): Promise<T> {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(100)) {
    const value = await probe();
    if (value) return value;
  }
  throw new Error(`waited a minute for ${what}`);
}
