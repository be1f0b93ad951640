/*
 * What the scripts do, called in this process: for what a test only needs to be there, or does for the hundredth time.
 * It starts no Node, which is half of a small backup's work.
 */
import { rm } from 'node:fs/promises';
import * as assert from 'uvu/assert';
import { backUp } from '../../scripts/backup.ts';
import { finish } from '../../scripts/lib/kept.ts';
import type { Format, Manifest } from '../../scripts/lib/manifest.ts';
import type { Restore } from '../../scripts/lib/restore-request.ts';
import { checkSource, fetchSource, findSource, restoreDirectory } from '../../scripts/lib/source.ts';
import { restoreFrom } from '../../scripts/restore.ts';
import { configOf } from './old-backups.ts';
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
  const { exitCode, text, json } = await backUp(enter(world, env), { format, upload });
  assert.is(exitCode, 0, text);
  return json.backup;
}

/** What `restore.ts <wanted> --yes` does. @returns its JSON */
export async function restoreHere(
  world: World,
  wanted: string,
  changes: Partial<Restore> = {},
  env: Env = {},
): Promise<{ restored: string; kept: string | null; safetyBackup: string | null }> {
  const asked: Restore = { wanted, migrate: true, yes: true, dryRun: false, ...changes };
  const { json } = await restoreFrom(enter(world, env), asked);
  return json as Awaited<ReturnType<typeof restoreHere>>;
}

/** What `restore.ts --finish --yes` does. */
export async function finishHere(world: World, env: Env = {}): Promise<void> {
  await finish(enter(world, env), { yes: true });
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
  const work = restoreDirectory(config);
  try {
    const source = await fetchSource(await findSource(config, wanted, from), work);
    await checkSource(config.postgres, source);
    return source.name;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
