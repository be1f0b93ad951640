import type { Manifest } from '../../../scripts/lib/backup/manifest.ts';
import { backUp } from '../../../scripts/lib/backup/run-backup.ts';
import { exitCodeOf, messageOf } from '../../../scripts/lib/core/errors.ts';
import { configOf } from '../backup/old-backups.ts';
import type { World } from './world.ts';

/** What a part of a script did in this process: `value` if it came to its end, else why it did not. */
export interface Done<T> {
  code: number;
  /** What it showed. */
  stderr: string;
  value: T | undefined;
  error: string;
}

/** Does a part of a script's work in this process and takes what it shows on stderr; never two at once. */
export async function captured<T>(work: () => Promise<T>): Promise<Done<T>> {
  const { write } = process.stderr;
  let stderr = '';
  process.stderr.write = text => {
    stderr += text;
    return true;
  };
  try {
    const value = await work();
    return { code: 0, value, error: '', stderr };
  } catch (error) {
    return { code: exitCodeOf(error), value: undefined, error: messageOf(error), stderr };
  } finally {
    process.stderr.write = write;
  }
}

/** The same with the programs on the PATH of `env`. */
export async function here<T>(
  world: Pick<World, 'env'>,
  env: Record<string, string>,
  work: () => Promise<T>,
): Promise<Done<T>> {
  const { PATH } = process.env;
  process.env.PATH = env.PATH ?? world.env.PATH!;
  try {
    return await captured(work);
  } finally {
    process.env.PATH = PATH;
  }
}

export interface BackedUp {
  code: number;
  stderr: string;
  error: string;
  manifest: Manifest | undefined;
  warnings: string[];
  /** What backup.ts prints. */
  text: string;
}

/** A backup as backup.ts makes it, without a process, the lock and those who are told. */
export async function backUpHere(
  world: World,
  env: Record<string, string> = {},
  wanted: { label?: string; upload?: boolean; sendMissing?: boolean } = {},
): Promise<BackedUp> {
  const done = await here(world, env, () => {
    const config = configOf(world, env);
    return backUp(config, {
      format: config.format === 'custom' ? 'custom' : 'plain',
      upload: true,
      ...wanted,
    });
  });
  const { code, stderr, error, value } = done;
  return {
    code: value?.exitCode ?? code,
    stderr,
    error,
    manifest: value?.json.backup,
    warnings: value?.json.warnings ?? [],
    text: value?.text ?? '',
  };
}
