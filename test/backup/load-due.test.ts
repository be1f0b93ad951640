/* How often a backup is loaded. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BackupCheck } from '../../scripts/lib/backup/check-log.ts';
import { loadInterval, whyNotDue } from '../../scripts/lib/backup/load-due.ts';
import { loadLimits } from '../../scripts/lib/health/checks/backup-loaded.ts';

const GB = 1e9;

test('auto is nightly up to 20 GB of database, then weekly; the others are what they say', () => {
  assert.equal(
    [0, 20 * GB, 20 * GB + 1, undefined].map(size => loadInterval('auto', size)),
    ['nightly', 'nightly', 'weekly', 'nightly'],
  );
  for (const mode of ['nightly', 'weekly', 'off'] as const)
    for (const size of [1, 100 * GB]) assert.is(loadInterval(mode, size), mode);
});

const now = new Date('2026-03-20T03:00:00Z');
const at = (id: string, days: number, check: BackupCheck['check'] = 'loaded'): BackupCheck => ({
  id,
  place: 'local',
  check,
  at: new Date(now.getTime() - days * 86_400_000).toISOString(),
});

test('what is due', () => {
  const due = (mode: Parameters<typeof whyNotDue>[0], checks: BackupCheck[], databaseBytes = GB) =>
    whyNotDue(mode, { id: 'new', databaseBytes }, checks, now) === undefined;
  assert.ok(due('auto', []), 'never loaded');
  assert.ok(due('nightly', [at('old', 1)]));
  assert.ok(due('nightly', [at('old', 0.01)]), 'by hand an hour ago, another one');
  assert.not(due('nightly', [at('new', 0.5), at('old', 0.2)]), 'this one');
  assert.ok(due('nightly', [at('new', 0.5, 'read')]), 'only read');
  assert.not(due('auto', [at('old', 1)], 21 * GB), 'large: weekly');
  assert.not(due('weekly', [at('old', 6)]));
  assert.ok(due('weekly', [at('old', 6.99)]), 'the run of the same night a week later');
  assert.ok(due('weekly', [at('old', 1, 'read'), at('older', 8)]));
  assert.not(due('off', []));
});

test('after how long the health check warns', () => {
  const days = (loadCheck: 'auto' | 'weekly', size: number, time: string, cron = '0 3 * * *') => {
    const schedule = {
      backup: 'off',
      certificates: 'off',
      drill: 'off',
      'health-check': 'off',
      'load-check': cron,
      weekly: 'off',
    };
    const { warning, critical } = loadLimits({ schedule, loadCheck }, size, new Date(time));
    return [warning / 3600, critical / 3600];
  };
  assert.equal(days('auto', GB, '2026-03-20T12:00:00Z'), [9, 9 + 72]);
  assert.equal(days('auto', GB, '2026-03-20T04:30:00Z'), [25.5, 25.5 + 72], 'it may still be loading');
  assert.equal(days('weekly', GB, '2026-03-20T12:00:00Z'), [9 + 168, 9 + 4 * 168]);
  assert.equal(days('auto', 30 * GB, '2026-03-20T12:00:00Z'), [9 + 168, 9 + 4 * 168]);
  assert.equal(
    days('auto', GB, '2026-03-20T12:00:00Z', '0 3 * * 5'),
    [9, 9 + 3 * 168],
    'its own schedule is weekly',
  );
});

test.run();
