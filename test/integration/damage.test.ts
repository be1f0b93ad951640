import { appendFileSync, cpSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { manifestName, serialize } from '../../scripts/lib/backup/manifest.ts';
import {
  assertRefused,
  assertSaysTheSame,
  type Copy,
  copyOf,
  cutAt,
  EVERY_WAY,
  everyTenth,
  FORMATS,
  flipIn,
  only,
  sound,
  TENTHS,
  WAYS,
  world,
  zeroIn,
} from '../support/backup/damage.ts';
import { checkHere, restoreHere } from '../support/core/in-process.ts';

for (const format of FORMATS) {
  // At every tenth of either, in every way to name it: test/long/integration/damage.test.ts.
  test(`${format}: the artifact or the manifest cut, or with a bit flipped`, () =>
    assertRefused(format, [
      ...everyTenth('artifact', [0, 9], ['id']),
      ...everyTenth('artifact', [5]),
      ...everyTenth('manifest', TENTHS, ['id']),
      ...everyTenth('manifest', [5], ['path', 'S3']),
    ]));

  test(`${format}: files missing, of another kind, of another backup`, () =>
    assertRefused(format, [
      { what: 'no globals', spoil: copy => unlinkSync(copy.globals), says: /missing/ },
      { what: 'damaged globals', spoil: copy => flipIn(copy.globals, 5), says: /globals.*has changed/ },
      { what: 'cut globals', spoil: copy => cutAt(copy.globals, 5), says: /globals.*(is truncated|bytes)/ },
      { what: 'no artifact', spoil: copy => unlinkSync(copy.artifact), ways: ['id', 'S3'], says: /missing/ },
      {
        what: 'no artifact at that path',
        spoil: copy => unlinkSync(copy.artifact),
        ways: ['path'],
        code: 2,
        says: /is not a file/,
      },
      { what: 'no manifest, by id', spoil: copy => unlinkSync(copy.manifest), ways: ['id'] },
      {
        what: 'the manifest of another backup',
        spoil: copy => {
          const other = manifestName(sound[format === 'plain' ? 'custom' : 'plain'].id);
          cpSync(join(world.env.BACKUP_DIR!, other), copy.manifest);
        },
        says: /it belongs to neurmatic_production_/,
      },
      // 360 such cases, at random places: test/long/integration/damage.test.ts.
      { what: 'a byte appended', spoil: copy => appendFileSync(copy.artifact, '\0'), ways: ['id'] },
      { what: 'zeros in it', spoil: copy => zeroIn(copy.artifact), ways: ['id'], says: /has changed/ },
      {
        what: 'the globals in place of the artifact',
        spoil: copy => cpSync(copy.globals, copy.artifact),
        ways: ['id'],
      },
      {
        what: 'a manifest of a later version',
        spoil: copy => edit(copy.manifest, '"version": 2', '"version": 3'),
        says: /has version 3; these scripts read versions 1 and 2/,
      },
      {
        what: 'a backup of a later PostgreSQL, which an older pg_restore takes for damaged',
        spoil: copy => {
          flipIn(copy.artifact, 5);
          const later = { ...sound[format], server: { ...sound[format].server, version: '99.1' } };
          writeFileSync(copy.manifest, serialize(later));
        },
        ways: ['id', 'S3'],
        code: 1,
        attempt: (address, env) => restoreHere(world, address, {}, env),
        says: /is a backup of PostgreSQL 99\.1; this server is 15\..*\n.*a server of version 99 or later/,
      },
      {
        what: 'a manifest whose row counts were edited',
        spoil: copy => edit(copy.manifest, '"rows": 1000', '"rows": 1001'),
        says: /checksum does not match/,
      },
      {
        what: 'an artifact that is a picture',
        spoil: copy => writeFileSync(copy.artifact, Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')),
      },
      ...(
        [
          ['id', 3],
          ['path', 2],
        ] as const
      ).map(([way, code]) => ({
        what: 'an artifact that is a directory',
        spoil: (copy: Copy) => {
          unlinkSync(copy.artifact);
          mkdirSync(copy.artifact);
        },
        ways: [way],
        code,
        says: /is not a file|is truncated/,
      })),
      {
        what: 'a manifest that is a directory',
        spoil: copy => {
          unlinkSync(copy.manifest);
          mkdirSync(copy.manifest);
        },
        ways: ['id', 'path'],
        says: /director|manifest/i,
      },
    ]));
}

/** In every format and way: test/long/integration/damage.test.ts. */
for (const way of ['id', 'S3'] as const)
  test(`by ${way}: restore.ts says what the check says, before anything is touched`, () =>
    assertSaysTheSame('plain', way));

test('a plain dump without a manifest, cut or not a dump at all', () =>
  assertRefused('plain', [
    ...[0, 5, 9].map(tenth => ({
      what: `cut at tenth ${tenth}`,
      spoil: (copy: Copy) => {
        unlinkSync(copy.manifest);
        cutAt(copy.artifact, tenth);
      },
      ways: ['path' as const],
      says: /can't be decoded/,
    })),
    {
      what: 'cut before it was compressed',
      spoil: copy => {
        unlinkSync(copy.manifest);
        writeFileSync(copy.artifact, gzipSync('--\n-- PostgreSQL database dump\n--\nCREATE TABLE t ();\n'));
      },
      ways: ['path', 'S3'],
      says: /the last line of the dump is missing/,
    },
    {
      what: 'a directory',
      spoil: copy => {
        unlinkSync(copy.manifest);
        unlinkSync(copy.artifact);
        mkdirSync(copy.artifact);
      },
      ways: ['path'],
      code: 2,
      says: /is not a file/,
    },
    {
      what: 'a picture by another name',
      spoil: copy => writeFileSync(join(copy.directory, 'holiday.png'), 'png'),
      ways: ['path'],
      wanted: copy => join(copy.directory, 'holiday.png'),
      code: 2,
      says: /is not a dump of a known format\n.*\.sql\.gz or \.dump\.zst/,
    },
  ]));

test('a custom dump without a manifest is refused: nothing else shows its damage', () =>
  assertRefused('custom', [
    {
      what: 'no manifest',
      spoil: copy => unlinkSync(copy.manifest),
      ways: ['path', 'S3'],
      says: /has no manifest next to it/,
    },
  ]));

for (const format of FORMATS) {
  test(`${format}: a copy that nobody spoilt passes the check in every way`, async () => {
    const copy = copyOf(format);
    for (const way of EVERY_WAY)
      assert.is(await checkHere(world, WAYS[way](copy), only(copy, way)), sound[format].id, way);
  });
}

test('a copy that nobody spoilt brings all rows back', async () => {
  const rows = (database?: string) => world.rows('SELECT i, text FROM t ORDER BY i', database);
  const before = await rows();
  assert.is(before.length, 1000);
  const copy = copyOf('plain');
  const { restored } = await restoreHere(world, copy.id, { database: 'beside' }, only(copy, 'id'));
  assert.is(restored, copy.id);
  assert.equal(await rows('beside'), before);
});

test('the servers stop', world.stop);

/** Changes the manifest's text, and asserts that it was there to be changed. */
function edit(path: string, from: string, to: string): void {
  const text = readFileSync(path, 'utf8');
  assert.ok(text.includes(from), `${path} has ${from}`);
  writeFileSync(path, text.replace(from, to));
}

test.run();
