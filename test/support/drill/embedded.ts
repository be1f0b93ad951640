import { readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Runs `body` with a temporary directory of its own, to see what a drill leaves there. */
export async function inTemporary(
  body: (env: Record<string, string>, directory: string) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'embedded-'));
  // PostgreSQL's socket lies below it, and runs as another user.
  await chmod(directory, 0o755);
  try {
    await body({ PATH: process.env.PATH!, HOME: directory, TMPDIR: directory }, directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The command lines of all processes that name `word`. */
export function processesWith(word: string): string[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap(pid => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return line.includes(word) ? [line] : [];
      } catch {
        return []; // it has ended meanwhile
      }
    });
}
