/** Client commands whose input or output is a file: bulk data does not pass through this process. */
import { open } from 'node:fs/promises';
import type { Postgres } from '../config/config.ts';
import { warningsIn } from '../core/program-output.ts';
import { type RunOptions, start } from '../core/shell.ts';
import { consumer, type LastingCommand } from './client.ts';

/** Runs a client command with a file as its stdin. @returns its stdout */
export async function runFromFile(...args: Parameters<typeof startFromFile>): Promise<string> {
  return (await startFromFile(...args)).stdout;
}

/** Like {@link runFromFile}, but also returns stderr, for programs that go on after errors. */
export async function startFromFile(
  postgres: Postgres,
  argv: string[],
  path: string,
  options: RunOptions & { settings?: string },
): Promise<{ stdout: string; stderr: string }> {
  await using handle = await open(path, 'r');
  const { size } = await handle.stat();
  const { argv: whole, ...command } = consumer(postgres, argv, size, options.settings);
  const streams = { ...command, stdin: handle.fd };
  return await start(whole, { timeout: Number.POSITIVE_INFINITY, ...options, ...streams });
}

/**
 * Runs a client command with a new file, readable by its owner only, as its stdout.
 * @returns what the programs warned of; it is shown and in the log already
 */
export async function runIntoFile(
  { argv, ...command }: LastingCommand,
  path: string,
  options: Omit<RunOptions, 'env' | 'lifeline' | 'stdin' | 'stdout'>,
): Promise<{ warnings: string[] }> {
  await using handle = await open(path, 'w', 0o600);
  const streams = { ...command, stdout: handle.fd };
  const { stderr } = await start(argv, { timeout: Number.POSITIVE_INFINITY, ...options, ...streams });
  return { warnings: warningsIn(stderr) };
}
