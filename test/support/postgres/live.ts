import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { Ended, World } from '../core/world.ts';

/** What must be the same after a restore that was refused: every database of the server, and the live one's rows. */
export async function liveState(world: World): Promise<string> {
  const databases = await world.rows(
    'SELECT oid::int, datname, datconnlimit FROM pg_database ORDER BY oid',
    'postgres',
  );
  const rows = await world.rows('SELECT count(*), sum(hashtext(t::text)::bigint) AS hash FROM t');
  return JSON.stringify({ databases, rows });
}

/** Asserts that no output of a run, no log and no history holds any of `secrets`. */
export function assertNoSecrets(ended: Ended, env: Record<string, string>, secrets: string[]): void {
  const texts = [ended.stdout, ended.stderr];
  for (const directory of [env.LOG_DIR!, env.STATE_DIR!]) {
    for (const entry of globSync('**', { cwd: directory, withFileTypes: true }))
      if (entry.isFile()) texts.push(readFileSync(join(entry.parentPath, entry.name), 'utf8'));
  }
  assert.ok(texts.length > 2, 'there is a log or a history to look into');
  for (const secret of secrets) {
    assert.not(
      texts.some(text => text.includes(secret)),
      `a secret is shown:\n${ended.stdout}\n${ended.stderr}`,
    );
  }
}
