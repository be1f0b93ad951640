import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { leftAfter, refuseShortage, reserveOf, type Use } from '../../scripts/lib/postgres/disk-space.ts';
import { growthOf, type LoadSize, type SpaceFacts } from '../../scripts/lib/postgres/load-space.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

const FACTS: SpaceFacts = {
  directory: '/data',
  data: null,
  temporary: null,
  segment: 16 * MIB,
  maxWal: GIB,
  keepWal: 0,
  slotLimit: -1,
  walNow: 16 * MIB,
  walSpare: 0,
  slotHolds: false,
  archiveHolds: false,
  hintsInWal: false,
  liveBytes: 0,
  leftBytes: 0,
};
const LOAD: LoadSize = { database: 100 * MIB, largestIndex: 0, connections: 2, memory: 512 * MIB };

const wal = (facts: Partial<SpaceFacts>, load: Partial<LoadSize> = {}) =>
  Math.round(growthOf({ ...FACTS, ...facts }, { ...LOAD, ...load }).wal / MIB);
const temporary = (load: Partial<LoadSize>) => growthOf(FACTS, { ...LOAD, ...load }).temporary / MIB;

/** What is written: the database and a tenth, an empty one, a segment that has been begun. */
const WRITTEN = 134;

test('WAL grows by what is written, up to max_wal_size and a quarter, which is a soft limit', () => {
  assert.is(wal({}), WRITTEN);
  assert.is(wal({ maxWal: 80 * MIB }), 100 - 16);
  assert.is(wal({}, { database: 100 * GIB }), 1280 - 16);
});

test('WAL that is ready to be written over does not grow, but for one segment', () => {
  assert.is(wal({ walNow: 80 * MIB, walSpare: 64 * MIB }), WRITTEN - 64);
  assert.is(wal({ walNow: 4 * GIB, walSpare: 3 * GIB }), 16);
});

test('wal_keep_size, unread slots and failing archiving keep WAL', () => {
  const small = { maxWal: 80 * MIB };
  assert.is(wal({ ...small, keepWal: 20 * MIB }), 100 + 20 - 16);
  assert.is(wal({ ...small, keepWal: 20 * MIB, slotHolds: true, slotLimit: 30 * MIB }), 100 + 30 - 16);
  assert.is(wal({ ...small, slotHolds: true }), WRITTEN);
  assert.is(wal({ ...small, archiveHolds: true }), WRITTEN);
  assert.is(wal({ slotHolds: true, walSpare: 64 * MIB }), WRITTEN, 'nothing is written over');
});

test('with checksums, reading what was loaded writes it to WAL once more', () => {
  assert.is(wal({ hintsInWal: true }), (110 + 8) * 2 + 16);
});

test('an index that its sort can’t hold in memory takes temporary files, one a connection', () => {
  assert.is(temporary({ largestIndex: 30 * MIB }), 0);
  assert.is(temporary({ largestIndex: 10 * MIB, memory: 16 * MIB }), 20);
  assert.is(temporary({ largestIndex: 40 * MIB, memory: 16 * MIB }), 50, 'at most half of the database');
  assert.is(temporary({ largestIndex: undefined, memory: 16 * MIB }), 50, 'unknown: a quarter each');
});

test('the reserve: a share of the disk within bounds, and two segments of WAL', () => {
  const reserve = (size: number, segment = 16 * MIB) => reserveOf(size, segment) / MIB;
  assert.is(reserve(100 * MIB), 32);
  assert.is(reserve(100 * MIB, MIB), 10);
  assert.is(reserve(1000 * MIB), 100);
  assert.is(reserve(5 * GIB), 256);
  assert.is(reserve(50 * GIB), 1024);
  assert.is(reserve(2000 * GIB), 2048);
});

test('uses of one disk are added, with one reserve; a disk of its own is judged by itself', () => {
  const of = (device: number, free: number) => ({ device, free: free * MIB, size: GIB });
  const use = (what: string, device: number, free: number, size: number, reserve?: number): Use => ({
    what,
    where: `disk ${device}`,
    disk: of(device, free),
    bytes: size * MIB,
    ...(reserve === undefined ? {} : { reserve: reserve * MIB }),
  });
  const fits = [use('data', 1, 200, 100, 40), use('WAL', 1, 200, 60, 40), use('a backup', 2, 10, 10)];
  refuseShortage(fits);
  assert.is(leftAfter(fits).get(1)!.needed, 200 * MIB);
  assert.throws(
    () => refuseShortage([...fits, use('a backup', 1, 200, 1)]),
    /^disk 1 has 200 MiB free, and about 201 MiB are needed: 100 MiB for data, .*, 40.0 MiB that stay free/,
  );
  assert.throws(
    () => refuseShortage([...fits.slice(0, 2), use('a backup', 2, 10, 11)]),
    /^disk 2 has 10.0 MiB free, and about 11.0 MiB are needed$/,
  );
});

test.run();
