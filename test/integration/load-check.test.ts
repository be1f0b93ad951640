/** The newest backup is loaded into a scratch database and compared: verify-backup.ts --load, and what watches it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { recordCheck } from '../../scripts/lib/backup/check-log.ts';
import { runLoadCheck } from '../../scripts/lib/drill/load-check.ts';
import { backupLoaded } from '../../scripts/lib/health/checks/backup-loaded.ts';
import { verify } from '../../scripts/verify-backup.ts';
import { configOf, plant } from '../support/backup/old-backups.ts';
import { runHere } from '../support/cli/commands.ts';
import { failed } from '../support/core/expect.ts';
import { here } from '../support/core/here.ts';
import { checkHere, refused, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import { assertLoads, backedUp, loaded } from '../support/drill/loads.ts';
import { startReceiver } from '../support/notify/receiver.ts';
import { databases } from '../support/postgres/compare.ts';

const { inTurn, stop } = await createTurns({ env: { S3_BUCKET: '' } }); // what is off-site is no part of this

/** In both formats: test/long/integration/load-check.test.ts. */
test('the newest backup loads at low priority and with one connection, is compared, dropped, and recorded', () =>
  inTurn(world => assertLoads(world, 'custom')));

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
    assert.is(await checkHere(world, bad.id), bad.id, 'it can be read');
  }));

/** A drill, too: test/long/integration/load-check.test.ts. */
test('no backup, off, and weekly; a restore counts as well', () =>
  inTurn(async world => {
    const run = (wanted: string, ifDue: boolean, env = {}) =>
      here(world, env, () => runLoadCheck(configOf(world, env), wanted, undefined, ifDue));
    await refused(() => runLoadCheck(configOf(world, {}), 'latest', 'local'), 3, /no verified backup/);
    const off = await run('latest', true, { LOAD_CHECK: 'off' });
    assert.match(off.value!.text!, /skipped: LOAD_CHECK is off/);
    const { id } = await backedUp(world);
    await restoreHere(world, 'latest', { database: 'beside' });
    await plant(world.env.BACKUP_DIR!, id, { days: -0.01 });
    const weekly = await run('latest', true, { LOAD_CHECK: 'weekly' });
    assert.match(weekly.value?.text ?? weekly.stderr, /^skipped: a backup is loaded weekly; the last was /);
    assert.equal(
      loaded(world).map(({ id, place }) => [id, place]),
      [[id, 'local']],
    );
    const unclear = () => runHere(verify, ['latest', '--if-due'], configOf(world, {}));
    await refused(unclear, 2, /--if-due needs --load/);
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
