/** Hooks in a directory of their own, and a configuration that has them. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, loadConfig } from '../../../scripts/lib/config/config.ts';

export interface HookPlace {
  directory: string;
  config: Config;
  path: (name: string) => string;
  /** Writes a hook as a script of bash, which begins in its directory. @returns its path */
  write: (name: string, script: string) => string;
  read: (name: string) => string;
}

const places: string[] = [];
process.once('exit', () => {
  for (const each of places) rmSync(each, { recursive: true, force: true });
});

/** A new directory, which goes when this process ends. */
export function hookPlace(env: Record<string, string> = {}): HookPlace {
  const directory = mkdtempSync(join(tmpdir(), 'hooks-'));
  places.push(directory);
  const path = (name: string) => join(directory, name);
  const own = { HOOKS_DIR: directory, STATE_DIR: path('state'), LOG_DIR: path('logs') };
  return {
    directory,
    config: loadConfig('production', { ...own, ...env }),
    path,
    write(name, script) {
      writeFileSync(path(name), `#!/bin/bash\ncd ${directory}\n${script}\n`);
      chmodSync(path(name), 0o755);
      return path(name);
    },
    read: name => readFileSync(path(name), 'utf8'),
  };
}

/** @returns whether a process runs; one that has ended and was not waited for does not */
export function isRunning(pid: string | number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${String(pid).trim()}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
