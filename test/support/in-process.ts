/*
 * What the scripts do, called in this process: for what a test only needs to be there. It starts no Node, which is
 * half of a small backup's work.
 */
import * as assert from 'uvu/assert';
import { backUp } from '../../scripts/backup.ts';
import type { Format, Manifest } from '../../scripts/lib/manifest.ts';
import type { Restore } from '../../scripts/lib/restore-request.ts';
import { restoreFrom } from '../../scripts/restore.ts';
import { configOf } from './old-backups.ts';
import type { World } from './world.ts';

/** Makes a backup that must succeed. Not while a script of the same world runs: nothing here takes the lock. */
export async function makeBackup(
  world: World,
  { format = 'plain', upload = true }: { format?: Format; upload?: boolean } = {},
  env: Record<string, string> = {},
): Promise<Manifest> {
  usePrograms(world);
  const { exitCode, text, json } = await backUp(configOf(world, env), { format, upload });
  assert.is(exitCode, 0, text);
  return json.backup;
}

/** Restores what `restore.ts <wanted> --yes` would. @returns its JSON */
export async function restoreHere(
  world: World,
  wanted: string,
  changes: Partial<Restore> = {},
  env: Record<string, string> = {},
): Promise<{ restored: string; kept: string | null; safetyBackup: string | null }> {
  usePrograms(world);
  const asked: Restore = { wanted, migrate: true, yes: true, dryRun: false, ...changes };
  const { json } = await restoreFrom(configOf(world, env), asked);
  return json as Awaited<ReturnType<typeof restoreHere>>;
}

/** From now on this process runs the same programs of PostgreSQL as the world's scripts. */
export function usePrograms(world: World): void {
  process.env.PATH = world.env.PATH!;
}
