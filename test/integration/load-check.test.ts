/** The newest backup is loaded into a scratch database and compared: verify-backup.ts --load, and what watches it. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readChecks, recordCheck } from '../../scripts/lib/backup/check-log.ts';
import { runLoadCheck } from '../../scripts/lib/drill/load-check.ts';
import { runDrill } from '../../scripts/lib/drill/run-drill.ts';
import { backupLoaded } from '../../scripts/lib/health/checks/backup-loaded.ts';
import { configOf, plant } from '../support/backup/old-backups.ts';
import { failed, succeed } from '../support/core/expect.ts';
import { captured, here } from '../support/core/here.ts';
import { makeBackup, refused, restoreHere } from '../support/core/in-process.ts';
import { pauseProgram } from '../support/core/pause.ts';
import { createTurns } from '../support/core/turns.ts';
import type { World } from '../support/core/world.ts';
import { startReceiver } from '../support/notify/receiver.ts';
import { databases } from '../support/postgres/compare.ts';

const { inTurn, stop } = await createTurns();

async function backedUp(world: World, format: 'plain' | 'custom' = 'plain') {
  await world.sql(`CREATE TABLE t AS SELECT i FROM generate_series(1, 500) AS i; CREATE INDEX ON t (i)`);
  return makeBackup(world, { format, upload: false });
}

const loaded = (world: World) => readChecks(configOf(world, {})).filter(({ check }) => check === 'loaded');

for (const [format, program, words] of [
  ['plain', 'psql', '--output=/dev/null'],
  ['custom', 'pg_restore', '--dbname='],
] as const)
  test(`${format}: loads at low priority and with one connection, compares, drops, and is recorded`, () =>
    inTurn(async world => {
      const { id } = await backedUp(world, format);
      const pause = pauseProgram(world, program, words, 'before');
      const running = world.start('verify-backup', ['latest', '--load', '--json'], pause.env);
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
      const { skipped } = await succeed(world, 'verify-backup', 'latest', '--load', '--if-due');
      assert.match(skipped, new RegExp(`^${id} was loaded `));
      const history = readFileSync(join(world.env.STATE_DIR!, 'history.jsonl'), 'utf8');
      assert.match(history, /"script":"verify-backup.ts","arguments":\["latest","--load"/);
    }));

test('a backup that can be read but not be restored: exit 3, notified, nothing left, not recorded', () =>
  inTurn(async world => {
    const { id, tables } = await backedUp(world);
    const more = tables.map(table => ({ ...table, rows: table.rows + 1 }));
    const bad = await plant(world.env.BACKUP_DIR!, id, { days: -0.5, manifest: { tables: more } });
    const receiver = await startReceiver();
    try {
      const ended = await world.run('verify-backup', ['latest', '--load', '--if-due'], {
        WEBHOOK_URL: receiver.url,
      });
      failed(ended, 3, /table public\.t has 500 rows, not 501/);
      const [{ body }] = receiver.received as unknown as [{ body: string }];
      assert.match(body, /load check of latest FAILED: the loaded data is not the data of the backup/);
      assert.is(JSON.parse(body).exitCode, 3);
    } finally {
      await receiver.stop();
    }
    assert.equal(await databases(world), ['app']);
    assert.equal(loaded(world), []);
    const { code, stdout } = await world.run('verify-backup', [bad.id]);
    assert.is(code, 0, 'it can be read');
    assert.match(stdout, /complete and unchanged/);
  }));

test('no backup, off, and weekly', () =>
  inTurn(async world => {
    const run = (wanted: string, ifDue: boolean, env = {}) =>
      here(world, env, () => runLoadCheck(configOf(world, env), wanted, undefined, ifDue));
    await refused(() => runLoadCheck(configOf(world, {}), 'latest', 'local'), 3, /no verified backup/);
    const off = await run('latest', true, { LOAD_CHECK: 'off' });
    assert.match(off.value!.text!, /skipped: LOAD_CHECK is off/);
    await backedUp(world);
    const weekly = { LOAD_CHECK: 'weekly' };
    const first = await run('latest', true, weekly);
    assert.match(first.value!.text!, /^loaded and compared/, first.stderr);
    await makeBackup(world, { upload: false });
    const second = await run('latest', true, weekly);
    assert.match(second.value?.text ?? second.stderr, /^skipped: a backup is loaded weekly; the last was /);
    assert.is((await world.run('verify-backup', ['latest', '--if-due'])).code, 2);
  }));

test('a drill and a restore count as well', () =>
  inTurn(async world => {
    const { id } = await backedUp(world);
    await restoreHere(world, 'latest', { database: 'beside' });
    const { id: stored } = await makeBackup(world, {});
    const drilled = await captured(() => runDrill(configOf(world, {})));
    assert.is(drilled.code, 0, drilled.stderr);
    assert.equal(
      loaded(world).map(({ id, place }) => [id, place]),
      [
        [id, 'local'],
        [stored, 's3'],
      ],
    );
  }));

test('the line of the health check: off, new, loaded, one missed, several missed', () =>
  inTurn(async world => {
    const look = (env: Record<string, string> = {}) => {
      const due = new Date(Date.now() - 5 * 3_600_000);
      const schedule = `${due.getUTCMinutes()} ${due.getUTCHours()} * * *`;
      return backupLoaded(configOf(world, { SCHEDULE_LOAD_CHECK: schedule, ...env })).run();
    };
    for (const env of [{ LOAD_CHECK: 'off' }, { SCHEDULE_LOAD_CHECK: 'off' }] as Record<string, string>[])
      assert.match(await look(env).catch(error => error.message), /_CHECK is off: no backup is loaded/);
    const { id } = await backedUp(world);
    assert.is((await look()).status, 'ok', 'new');
    const old = await plant(world.env.BACKUP_DIR!, id, { days: 30 });
    const never = await look();
    assert.is(never.status, 'warning');
    assert.match(never.message, /no backup has been loaded and compared yet/);
    assert.match(never.hint!, /verify-backup\.ts latest --load/);

    const record = join(world.env.STATE_DIR!, 'backup-checks.jsonl');
    recordCheck(configOf(world, {}), { id: old.id, place: 's3', check: 'loaded' });
    const line = JSON.parse(readFileSync(record, 'utf8'));
    const after = async (hours: number, of = old.id) => {
      const at = new Date(Date.now() - hours * 3_600_000).toISOString();
      writeFileSync(record, JSON.stringify({ ...line, id: of, at }) + '\n');
      return look();
    };
    const statuses: [number, string][] = [
      [4, 'ok'],
      [6, 'warning'],
      [70, 'warning'],
      [80, 'critical'],
    ];
    for (const [hours, status] of statuses) assert.is((await after(hours)).status, status, `${hours} h`);
    assert.match((await after(6)).message, /^newer backups are not proven to load: /);
    assert.is((await after(80, id)).status, 'ok', 'there is no newer one');
  }));

test('the servers stop', stop);

test.run();
