import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Format, type Manifest, manifestName } from '../../scripts/lib/backup/manifest.ts';
import { checkHere, makeBackup, refused } from '../support/in-process.ts';
import { liveState } from '../support/live.ts';
import { fileOf } from '../support/store.ts';
import { createWorld } from '../support/world.ts';

const world = await createWorld();
await world.sql('CREATE TABLE t AS SELECT i, md5(i::text) AS text FROM generate_series(1, 1000) AS i');

/** A sound backup of each format; every case spoils a copy. */
const sound: Record<Format, Manifest> = {
  plain: await makeBackup(world, { format: 'plain', upload: false }),
  custom: await makeBackup(world, { format: 'custom', upload: false }),
};
const FORMATS = ['plain', 'custom'] as const;
let copies = 0;

function copyOf(format: Format) {
  const { id, artifact, globals } = sound[format];
  const directory = join(world.directory, `copy-${++copies}`);
  mkdirSync(directory);
  for (const name of [artifact.name, globals.name, manifestName(id)])
    cpSync(join(world.env.BACKUP_DIR!, name), join(directory, name));
  return {
    id,
    directory,
    artifact: join(directory, artifact.name),
    globals: join(directory, globals.name),
    manifest: join(directory, manifestName(id)),
  };
}

type Copy = ReturnType<typeof copyOf>;

/** The ways to name a backup, each of which is looked up by code of its own. */
const WAYS = {
  id: (copy: Copy) => copy.id,
  path: (copy: Copy) => copy.artifact,
  S3: (copy: Copy) => fromStore(copy),
};
type Way = keyof typeof WAYS;
const EVERY_WAY = Object.keys(WAYS) as Way[];

/** Puts a copy into the store, as it is. */
function fromStore(copy: Copy): string {
  const prefix = basename(copy.directory);
  mkdirSync(join(world.s3.directory, world.s3.bucket, prefix));
  for (const name of readdirSync(copy.directory))
    cpSync(join(copy.directory, name), fileOf(world, `${prefix}/${name}`));
  return `s3://${world.s3.bucket}/${prefix}/${basename(copy.artifact)}`;
}

/** The environment in which a copy is the only backup there is, here or in the store. */
function only(copy: Copy, way: Way): Record<string, string> {
  if (way !== 'S3') return { BACKUP_DIR: copy.directory, S3_BUCKET: '' };
  const elsewhere = `${copy.directory}-elsewhere`;
  mkdirSync(elsewhere, { recursive: true });
  return { BACKUP_DIR: elsewhere };
}

interface Case {
  what: string;
  spoil: (copy: Copy) => void;
  code?: number;
  says?: RegExp;
  /** Default: all. */
  ways?: Way[];
  /** What is asked for; default: what the way names. */
  wanted?: (copy: Copy) => string;
}

const DAMAGED = /damaged|is truncated|has changed|missing|no manifest|can't be (read|decoded)|bytes/;

/** Checks all that `spoil` makes of copies, and asserts that each is refused for the right reason. */
async function assertRefused(format: Format, cases: Case[]) {
  for (const { what, spoil, code = 3, says = DAMAGED, ways = EVERY_WAY, wanted } of cases) {
    for (const way of ways) {
      const copy = copyOf(format);
      spoil(copy);
      const address = (wanted ?? WAYS[way])(copy);
      const env = only(copy, way);
      await refused(() => checkHere(world, address, env), code, says).catch(error => {
        throw new Error(`${what}, by ${way}`, { cause: error });
      });
      rmSync(copy.directory, { recursive: true });
    }
  }
}

const TENTHS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

function cutAt(path: string, tenth: number): void {
  truncateSync(path, Math.floor((readFileSync(path).length * tenth) / 10));
}

/** Flips the lowest bit of the byte in the middle of one tenth. */
function flipIn(path: string, tenth: number): void {
  const content = readFileSync(path);
  content[Math.floor((content.length * (tenth + 0.5)) / 10)]! ^= 1;
  writeFileSync(path, content);
}

for (const format of FORMATS) {
  for (const file of ['artifact', 'manifest'] as const) {
    test(`${format}: the ${file} cut at every tenth, or with a bit flipped in each`, () =>
      assertRefused(
        format,
        TENTHS.flatMap(tenth => [
          { what: `cut at tenth ${tenth}`, spoil: copy => cutAt(copy[file], tenth) },
          { what: `bit flipped in tenth ${tenth}`, spoil: copy => flipIn(copy[file], tenth) },
        ]),
      ));
  }

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
      {
        what: 'a manifest of a later version',
        spoil: copy => edit(copy.manifest, '"version": 1', '"version": 2'),
        says: /has version 2; these scripts read version 1/,
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

  for (const way of EVERY_WAY) {
    test(`${format}, by ${way}: restore.ts says what the check says, before anything is touched`, async () => {
      const copy = copyOf(format);
      flipIn(copy.artifact, 5);
      const env = only(copy, way);
      const wanted = WAYS[way](copy);
      const text = await refused(() => checkHere(world, wanted, env), 3, /has changed/);
      const before = await liveState(world);
      const done = await world.run('restore', [wanted, '--yes'], env);
      assert.is(done.code, 3, done.stderr);
      assert.ok(done.stderr.endsWith(`error: ${text}\n`), done.stderr);
      assert.not.match(done.stderr, /from here on, things change/);
      assert.is(await liveState(world), before);
    });
  }
}

test('a plain dump without a manifest, cut or not a dump at all', () =>
  assertRefused('plain', [
    ...TENTHS.map(tenth => ({
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
  test(`${format}: a copy that nobody spoilt passes the check in every way, and brings all rows back`, async () => {
    const rows = () => world.rows('SELECT i, text FROM t ORDER BY i');
    const before = await rows();
    assert.is(before.length, 1000);
    const copy = copyOf(format);
    for (const way of EVERY_WAY)
      assert.is(await checkHere(world, WAYS[way](copy), only(copy, way)), sound[format].id, way);
    await world.sql(`DELETE FROM t WHERE i > 10; UPDATE t SET text = 'lost'`);
    const done = await world.run('restore', [copy.id, '--yes'], only(copy, 'id'));
    assert.is(done.code, 0, done.stderr);
    assert.equal(await rows(), before);
  });
}

test('the servers stop', world.stop);

/** Changes the manifest's text, and asserts that it was there to be changed. */
function edit(path: string, from: string, to: string): void {
  const text = readFileSync(path, 'utf8');
  assert.ok(text.includes(from), `${path} has ${from}`);
  writeFileSync(path, text.replace(from, to));
}

test.run();
