import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { World } from '../core/world.ts';
import { databases } from './compare.ts';

/** A database's name and a password with every character that a shell, a URL or SQL minds. */
export const NAME = `It's "Ü" -d=$(x) \\n%s;&| 日本`;
export const PASSWORD = 'p\'a"s s$w(o)r`d\\!&|;<>*?[x]{y}~#%41=:/@+,^é';

/** Runs a script that must succeed and not show the password. @returns its JSON */
export async function succeed(world: World, script: string, ...args: string[]) {
  const { code, stdout, stderr } = await world.run(script, [...args, '--json']);
  assert.is(code, 0, stderr);
  for (const form of [PASSWORD, encodeURIComponent(PASSWORD)]) {
    assert.not.ok((stdout + stderr).includes(form), 'the password is in the output');
  }
  return JSON.parse(stdout);
}

/**
 * Backs up the database {@link NAME}, adds a row, restores with a migration, and asserts that the row is gone.
 * @returns the backup's id, and the database that is kept
 */
export async function roundTrip(
  world: World,
  format: string,
  from: string,
): Promise<{ id: string; kept: string }> {
  const { backup } = await succeed(world, 'backup', '--format', format);
  assert.is(backup.database, NAME);
  await world.sql('INSERT INTO t VALUES (0)');
  world.env.MIGRATE_COMMAND =
    'psql -qX -v ON_ERROR_STOP=1 "$DATABASE_URL" -c "CREATE TABLE migrated AS SELECT current_database() AS name"';
  const restored = await succeed(world, 'restore', 'latest', '--from', from, '--yes');
  assert.is(restored.database, NAME);
  assert.is((await world.rows('SELECT i FROM t')).length, 10);
  const [migrated] = await world.rows<{ name: string }>('SELECT name FROM migrated');
  assert.ok(migrated!.name.startsWith(`${NAME}_new_`), migrated!.name);
  assert.equal(await databases(world), [NAME, restored.kept]);
  return { id: backup.id, kept: restored.kept };
}

/** Asserts that the logs and the state below a directory do not show the password. */
export function assertPasswordHidden(directory: string): void {
  const written = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && /\.(jsonl?|log|lock)$/.test(entry.name))
    .map(entry => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
  assert.ok(written.some(text => text.includes('backup.ts')) && written.length >= 6);
  for (const text of written) {
    for (const form of [PASSWORD, encodeURIComponent(PASSWORD), JSON.stringify(PASSWORD).slice(1, -1)])
      assert.not.ok(text.includes(form), text);
  }
}
