/** Backups whose newest is loaded into a scratch database and compared. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { readChecks } from '../../../scripts/lib/backup/check-log.ts';
import type { Format } from '../../../scripts/lib/backup/manifest.ts';
import { verify } from '../../../scripts/verify-backup.ts';
import { configOf } from '../backup/old-backups.ts';
import { runHere } from '../cli/commands.ts';
import { makeBackup } from '../core/in-process.ts';
import { pauseProgram } from '../core/pause.ts';
import type { World } from '../core/world.ts';
import { databases } from '../postgres/compare.ts';

/** What loads a dump, and an argument of it. */
const LOADERS: Record<Format, [program: string, words: string]> = {
  plain: ['psql', '--output=/dev/null'],
  custom: ['pg_restore', '--dbname='],
};

export async function backedUp(world: World, format: Format = 'plain') {
  await world.sql(`CREATE TABLE t AS SELECT i FROM generate_series(1, 500) AS i; CREATE INDEX ON t (i)`);
  return makeBackup(world, { format, upload: false });
}

export const loaded = (world: World) =>
  readChecks(configOf(world, {})).filter(({ check }) => check === 'loaded');

/** verify-backup.ts --load loads at low priority and with one connection, compares, drops, and is recorded. */
export async function assertLoads(world: World, format: Format): Promise<void> {
  const { id } = await backedUp(world, format);
  const [program, words] = LOADERS[format];
  const pause = pauseProgram(world, program, words, 'before');
  const running = world.start('verify-backup', ['latest', '--load', '--if-due', '--json'], {
    LOAD_CHECK: 'weekly', // none has been loaded yet
    ...pause.env,
  });
  await pause.reached(running);
  const [scratch] = (await databases(world)).filter(name => name !== 'app');
  assert.match(scratch!, /^app_drill_\d{8}_\d{6}$/);
  const nice = readFileSync(`/proc/${running.child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[16];
  assert.is(nice, '10', 'and what it starts inherits it');
  pause.go();
  const { code, stdout, stderr } = await running.ended;
  assert.is(code, 0, stderr);
  assert.match(stderr, /compared with the backup: 500 rows in 1 table, all definitions/);
  assert.is(JSON.parse(stdout).loaded, id);
  assert.equal(await databases(world), ['app']);
  assert.not.ok(existsSync(join(world.env.BACKUP_DIR!, '.drill-production')));
  assert.equal(
    loaded(world).map(({ id, place }) => [id, place]),
    [[id, 'local']],
  );
  const due = await runHere(verify, ['latest', '--load', '--if-due'], configOf(world, {}));
  assert.match((due.json as { skipped: string }).skipped, new RegExp(`^${id} was loaded `));
  const history = readFileSync(join(world.env.STATE_DIR!, 'history.jsonl'), 'utf8');
  assert.match(history, /"script":"verify-backup.ts","arguments":\["latest","--load"/);
}
