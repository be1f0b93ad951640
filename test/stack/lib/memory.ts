import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Ended, startProgram } from '../../support/core/world.ts';
import type { Deployable } from './deployable.ts';

/** Runs a script where so many MiB of memory are available. Needs the right to mount. */
export function withMemory(
  { stack }: Deployable,
  available: number,
  script: string,
  ...args: string[]
): Promise<Ended> {
  const meminfo = join(mkdtempSync(join(tmpdir(), 'meminfo-')), 'meminfo');
  const text = readFileSync('/proc/meminfo', 'utf8');
  writeFileSync(meminfo, text.replace(/MemAvailable: +\d+/, `MemAvailable: ${available * 1024}`));
  const mount = 'mount --bind "$1" /proc/meminfo && shift && exec "$@"';
  const program = join(stack.directory, `scripts/${script}.ts`);
  const env = stack.engine.env as Record<string, string>;
  return startProgram('unshare', ['--mount', 'sh', '-c', mount, 'sh', meminfo, program, ...args], env).ended;
}
