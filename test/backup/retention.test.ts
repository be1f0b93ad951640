import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Backup, newestFirst } from '../../scripts/lib/backup/catalog.ts';
import { collapse, decide, deletesMost } from '../../scripts/lib/backup/retention.ts';
import { sampleManifest } from '../support/backup/sample-manifest.ts';

const NEWEST = Date.parse('2026-01-31T02:00:00Z');

/** A backup that is `days` older than the newest. */
function aged(days: number): Backup {
  const manifest = sampleManifest({ snapshotAt: new Date(NEWEST - days * 86_400_000).toISOString() });
  return { id: `${days}`, place: 'local', manifest, problem: undefined, bytes: 1 };
}

const keeps = (ages: number[], days: number, minKeep: number) =>
  decide(ages.map(aged), days, minKeep)
    .filter(({ keep }) => keep)
    .map(({ backup }) => Number(backup.id));

test('the age of a backup counts from the newest backup', () => {
  assert.equal(keeps([0, 29, 30, 30.1, 31], 30, 1), [0, 29, 30]);
  assert.equal(keeps([], 30, 7), []);
});

test('the newest backups are kept at any age: minKeep of them, and at least one', () => {
  assert.equal(keeps([0, 100, 200, 300], 30, 3), [0, 100, 200]);
  assert.equal(keeps([0, 100], 1, 1), [0]);
});

test('every decision has its reason', () => {
  const reasons = decide([0, 1, 5, 40].map(aged), 30, 2).map(({ reason }) => reason);
  assert.equal(reasons, [
    'the newest',
    'one of the newest 2',
    '5.0 days older than the newest, kept for 30',
    '40.0 days older than the newest, over 30',
  ]);
});

test('deletesMost gives a reason when more than half would be deleted', () => {
  const reason = (ages: number[]) => deletesMost(decide(ages.map(aged), 30, 1));
  assert.is(reason([]), undefined);
  assert.is(reason([0, 1, 2, 40]), undefined);
  assert.is(reason([0, 1, 40, 41]), undefined, 'half is not more than half');
  assert.is(reason([0, 40, 41]), 'it would delete 2 of 3 backups at once');
});

test('newestFirst returns only verified backups, in the order of their data', () => {
  const broken = { ...aged(0), problem: 'no manifest' };
  assert.equal(
    newestFirst([aged(5), broken, aged(1), aged(3)]).map(({ id }) => id),
    ['1', '3', '5'],
  );
});

test('collapse: less than half of the rows, or of the bytes in the same format', () => {
  const of = (rows: number, bytes: number, format: 'plain' | 'custom' = 'plain') =>
    sampleManifest({
      format,
      tables: [{ schema: 'public', name: 't', rows }],
      artifact: { ...sampleManifest().artifact, bytes },
    });
  assert.is(collapse(of(1000, 1000), of(500, 500)), undefined, 'half');
  assert.is(collapse(of(0, 1000), of(0, 1000)), undefined, 'an empty database stays empty');
  assert.match(collapse(of(1000, 1000), of(499, 1000))!, /499 rows after 1,000 in neurmatic_production_/);
  assert.match(collapse(of(1000, 1000), of(1000, 499))!, /499 B after 1000 B in neurmatic_production_/);
  assert.is(collapse(of(1000, 1000, 'plain'), of(1000, 10, 'custom')), undefined, 'formats do not compare');
});

test.run();
