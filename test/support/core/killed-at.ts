/**
 * A process that calls a function of the product, and is killed before one of its calls that open or change a
 * file. Started by {@link killedAt}.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from '../../../scripts/lib/config/config.ts';

export interface Call {
  /** In scripts/lib: `core/rotate.ts`. */
  file: string;
  name: string;
  args: unknown[];
  /** The repository that the file is of; default: this one. */
  root?: string;
}

const STEPS = ['openSync', 'writeSync', 'renameSync', 'rmSync', 'ftruncateSync'] as const;
const self = fileURLToPath(import.meta.url);
const argvOf = (call: Call, at: number) => [self, JSON.stringify({ ...call, at })];
/** For a faster start of Node, as scripts/node does it. */
const env = { ...process.env, NODE_COMPILE_CACHE: join(ROOT, 'node_modules/.cache/tests') };

/** @returns the names of the steps that a process takes which is not killed */
export function stepsOf(call: Call): string[] {
  return JSON.parse(execFileSync(process.execPath, argvOf(call, -1), { env, encoding: 'utf8' }));
}

/** Calls it in a process that is killed before its step of this number, from 0. @throws if it is not killed */
export function killedAt(call: Call, at: number): void {
  const { signal, stderr } = spawnSync(process.execPath, argvOf(call, at), { env, encoding: 'utf8' });
  if (signal !== 'SIGKILL') throw new Error(`it was not killed at step ${at}: ${stderr}`);
}

if (import.meta.main) {
  const { file, name, args, root = ROOT, at } = JSON.parse(process.argv[2]!) as Call & { at: number };
  const called = (await import(join(root, 'scripts/lib', file)))[name];
  const steps: string[] = [];
  const step = (what: string) => {
    if (steps.push(what) - 1 === at) process.kill(process.pid, 'SIGKILL');
  };
  for (const name of STEPS) {
    const real = fs[name] as (...args: unknown[]) => unknown;
    const stepping = (...given: unknown[]) => {
      step(name);
      return real(...given);
    };
    Object.assign(fs, { [name]: stepping });
  }
  syncBuiltinESMExports();
  await called(...args);
  process.stdout.write(JSON.stringify(steps));
  process.exit();
}
