/*
 * What the scripts do, called in this process: for what a test only needs to be there, or does for the hundredth time.
 * It starts no Node, which is half of a small backup's work.
 */
import { rm } from 'node:fs/promises';
import * as assert from 'uvu/assert';
import { fetchSource } from '../../../scripts/lib/backup/fetch.ts';
import { findSource } from '../../../scripts/lib/backup/find.ts';
import type { Format, Manifest } from '../../../scripts/lib/backup/manifest.ts';
import { backUp } from '../../../scripts/lib/backup/run-backup.ts';
import { checkSource } from '../../../scripts/lib/backup/verify.ts';
import { OperationalError } from '../../../scripts/lib/core/errors.ts';
import { DIRECTORIES, sweepAll } from '../../../scripts/lib/restore/leftovers.ts';
import { parseAction } from '../../../scripts/lib/restore/options.ts';
import { runRestore } from '../../../scripts/lib/restore/run-restore.ts';
import { finish, undo } from '../../../scripts/lib/restore/undo.ts';
import { configOf } from '../backup/old-backups.ts';
import type { World } from './world.ts';

type Env = Record<string, string>;

/** The configuration, and from now on the same programs of PostgreSQL as the world's scripts have. */
function enter(world: World, env: Env) {
  process.env.PATH = world.env.PATH!;
  return configOf(world, env);
}

/** Makes a backup that must succeed. Not while a script of the same world runs: nothing here takes the lock. */
export async function makeBackup(
  world: World,
  { format = 'plain', upload = true }: { format?: Format; upload?: boolean } = {},
  env: Env = {},
): Promise<Manifest> {
  const config = enter(world, env);
  await sweepAll(config);
  const { exitCode, text, json } = await backUp(config, { format, upload });
  assert.is(exitCode, 0, text);
  return json.backup;
}

/** What restore.ts prints as JSON, of what a test looks at. */
export interface Restored {
  restored: string;
  kept: string | null;
  safetyBackup: string | null;
  dataAgeSeconds?: number | null;
  dryRun?: true;
  source?: string;
  dropped?: string[];
  replication?: string[];
  acceptedErrors?: { statement: string; error: string }[];
}

type Flags = Parameters<typeof parseAction>[1];

/** What `restore.ts <wanted> --yes` and these flags does, from its arguments on. @returns its JSON */
export async function restoreHere(
  world: World,
  wanted: string | undefined,
  flags: Flags = {},
  env: Env = {},
): Promise<Restored> {
  const options = { yes: true, ...flags };
  const action = parseAction(wanted, options);
  const config = enter(world, env);
  const confirmation = { yes: options.yes, dryRun: options['dry-run'] };
  const { json } =
    action === 'undo'
      ? await undo(config, confirmation)
      : action === 'finish'
        ? await finish(config, confirmation)
        : await runRestore(config, action);
  return json as Restored;
}

/** What `restore.ts --finish --yes` does. */
export const finishHere = (world: World, env: Env = {}): Promise<Restored> =>
  restoreHere(world, undefined, { finish: true }, env);

/**
 * Asserts that something is refused with an exit code and, as a script shows it in two lines, what is wrong and what
 * to do. @returns these lines
 */
export async function refused(
  attempt: () => Promise<unknown>,
  exitCode: number,
  ...messages: RegExp[]
): Promise<string> {
  const error = await Promise.resolve()
    .then(attempt)
    .then(
      result => new Error(`it is not refused: ${JSON.stringify(result)}`),
      thrown => thrown,
    );
  assert.instance(error, OperationalError, error.stack);
  const text = `${error.message}\n  → ${error.hint}`;
  assert.is(error.exitCode, exitCode, text);
  for (const message of messages) assert.match(text, message, `${text} matches ${message}`);
  assert.match(text, /\n {2}→ .{10}/, 'it says what to do');
  return text;
}

/**
 * Finds, fetches and checks a backup, as restore.ts and verify-backup.ts do before all else.
 * @param from where to look; default: anywhere
 * @returns its name
 */
export async function checkHere(
  world: World,
  wanted: string,
  env: Env = {},
  from?: 'local' | 's3',
): Promise<string> {
  const config = enter(world, env);
  const work = DIRECTORIES.environment(config);
  try {
    const source = await fetchSource(await findSource(config, wanted, from), work);
    await checkSource(config.postgres, source);
    return source.name;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
