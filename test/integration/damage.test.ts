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
import { type Manifest, manifestName } from '../../scripts/lib/manifest.ts';
import { liveState } from '../support/live.ts';
import { manifestOf } from '../support/old-backups.ts';
import { fileOf } from '../support/store.ts';
import { createWorld, type Ended } from '../support/world.ts';

const world = await createWorld();
await world.sql('CREATE TABLE t AS SELECT i, md5(i::text) AS text FROM generate_series(1, 1000) AS i');

/** A sound backup of each format; every test spoils a copy. */
const sound: Record<string, { directory: string; manifest: Manifest }> = {};
for (const format of ['plain', 'custom']) {
  const directory = join(world.directory, format);
  const done = await world.run('backup', ['--format', format, '--no-upload', '--json'], {
    BACKUP_DIR: directory,
  });
  if (done.code !== 0) throw new Error(done.stderr);
  sound[format] = { directory, manifest: await manifestOf(directory, JSON.parse(done.stdout).backup.id) };
}

let copies = 0;

function copyOf(format: string) {
  const { directory, manifest } = sound[format]!;
  const copy = join(world.directory, `copy-${++copies}`);
  cpSync(directory, copy, { recursive: true });
  return {
    directory: copy,
    id: manifest.id,
    artifact: join(copy, manifest.artifact.name),
    globals: join(copy, manifest.globals.name),
    manifest: join(copy, manifestName(manifest.id)),
  };
}

type Copy = ReturnType<typeof copyOf>;

/** Two at a time, each with a state directory of its own, so that none waits for another's lock. */
async function restoreAll(attempts: { copy: Copy; wanted: string; what: string }[]) {
  const results: { what: string; done: Ended }[] = [];
  const queue = [...attempts];
  const some = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const { copy, wanted, what } = next;
      const env: Record<string, string> = {
        STATE_DIR: join(copy.directory, 'state'),
      };
      if (wanted.startsWith('s3://')) env.BACKUP_DIR = `${copy.directory}-elsewhere`;
      else Object.assign(env, { BACKUP_DIR: copy.directory, S3_BUCKET: '' });
      results.push({ what, done: await world.run('restore', [wanted, '--yes'], env) });
      rmSync(copy.directory, { recursive: true });
    }
  };
  await Promise.all([some(), some()]);
  return results;
}

const byId = (copy: Copy) => copy.id;
const byPath = (copy: Copy) => copy.artifact;

/** Puts a copy into the store, as it is. */
function fromStore(copy: Copy): string {
  const prefix = basename(copy.directory);
  mkdirSync(join(world.s3.directory, world.s3.bucket, prefix));
  for (const name of readdirSync(copy.directory))
    cpSync(join(copy.directory, name), fileOf(world, `${prefix}/${name}`));
  return `s3://${world.s3.bucket}/${prefix}/${basename(copy.artifact)}`;
}

/** Restores all that `spoil` makes of copies, and asserts that each is refused before anything is touched. */
async function assertRefused(
  format: string,
  spoils: {
    what: string;
    spoil: (copy: Copy) => void;
    code?: number;
    says?: RegExp;
    wanted?: (copy: Copy) => string;
  }[],
) {
  const before = await liveState(world);
  const results = await restoreAll(
    spoils.flatMap(({ what, spoil, wanted }, index) => {
      // By its id and by its path, which are looked up in different ways; where there are many, in turn.
      const ways = spoils.length < 20 ? [byId, byPath] : [index % 2 === 0 ? byId : byPath, fromStore];
      return (wanted ? [wanted] : ways).map(way => {
        const copy = copyOf(format);
        spoil(copy);
        return { copy, what, wanted: way(copy) };
      });
    }),
  );
  assert.ok(results.length >= spoils.length);
  for (const { what, done } of results) {
    const { code = 3, says = /damaged|is cut|has changed|missing|no manifest|can't be read|bytes/ } =
      spoils.find(spoil => spoil.what === what)!;
    assert.is(done.code, code, `${what}: ${done.stderr}`);
    assert.match(done.stderr, says, `${what}: ${done.stderr}`);
    assert.match(done.stderr, /\n {2}→ .{10}/, `${what}: it says what to do`);
    assert.not.match(done.stderr, /from here on, things change/, what);
  }
  assert.is(await liveState(world), before);
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

for (const format of ['plain', 'custom']) {
  test(`${format}: an artifact cut at every tenth, or with a bit flipped in each`, () =>
    assertRefused(format, [
      ...TENTHS.map(tenth => ({
        what: `cut at tenth ${tenth}`,
        spoil: (copy: Copy) => cutAt(copy.artifact, tenth),
      })),
      ...TENTHS.map(tenth => ({
        what: `bit flipped in tenth ${tenth}`,
        spoil: (copy: Copy) => flipIn(copy.artifact, tenth),
      })),
    ]));

  test(`${format}: a manifest cut at every tenth, or with a bit flipped in each`, () =>
    assertRefused(format, [
      ...TENTHS.map(tenth => ({
        what: `cut at tenth ${tenth}`,
        spoil: (copy: Copy) => cutAt(copy.manifest, tenth),
      })),
      ...TENTHS.map(tenth => ({
        what: `bit flipped in tenth ${tenth}`,
        spoil: (copy: Copy) => flipIn(copy.manifest, tenth),
      })),
    ]));

  test(`${format}: files missing, of another kind, of another backup`, () =>
    assertRefused(format, [
      { what: 'no globals', spoil: copy => unlinkSync(copy.globals) },
      { what: 'damaged globals', spoil: copy => flipIn(copy.globals, 5), says: /globals.*has changed/ },
      { what: 'no artifact', spoil: copy => unlinkSync(copy.artifact), wanted: byId },
      {
        what: 'no artifact at that path',
        spoil: copy => unlinkSync(copy.artifact),
        wanted: byPath,
        code: 2,
        says: /is no file/,
      },
      { what: 'no manifest, by id', spoil: copy => unlinkSync(copy.manifest), wanted: byId },
      {
        what: 'the manifest of another backup',
        spoil: copy => {
          const other = sound[format === 'plain' ? 'custom' : 'plain']!;
          cpSync(join(other.directory, manifestName(other.manifest.id)), copy.manifest);
        },
        says: /it is about neurmatic_production_/,
      },
      {
        what: 'a manifest of a later version',
        spoil: copy => edit(copy.manifest, '"version": 1', '"version": 2'),
        says: /of version 2, and these scripts read version 1/,
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
      ).map(([how, code]) => ({
        what: `an artifact that is a directory, by ${how}`,
        spoil: (copy: Copy) => {
          unlinkSync(copy.artifact);
          mkdirSync(copy.artifact);
        },
        wanted: (copy: Copy) => (how === 'id' ? copy.id : copy.artifact),
        code,
        says: /is no file|is cut/,
      })),
      {
        what: 'a manifest that is a directory',
        spoil: copy => {
          unlinkSync(copy.manifest);
          mkdirSync(copy.manifest);
        },
        says: /director|manifest/i,
      },
    ]));
}

test('a plain dump without a manifest, cut or not a dump at all', () =>
  assertRefused('plain', [
    ...TENTHS.map(tenth => ({
      what: `cut at tenth ${tenth}`,
      spoil: (copy: Copy) => {
        unlinkSync(copy.manifest);
        cutAt(copy.artifact, tenth);
      },
      wanted: byPath,
      says: /can't be read to its end/,
    })),
    {
      what: 'cut before it was compressed',
      spoil: copy => {
        unlinkSync(copy.manifest);
        writeFileSync(copy.artifact, gzipSync('--\n-- PostgreSQL database dump\n--\nCREATE TABLE t ();\n'));
      },
      wanted: byPath,
      says: /the dump stops before its last line/,
    },
    {
      what: 'a directory',
      spoil: copy => {
        unlinkSync(copy.manifest);
        unlinkSync(copy.artifact);
        mkdirSync(copy.artifact);
      },
      wanted: byPath,
      code: 2,
      says: /is no file/,
    },
    {
      what: 'a picture by another name',
      spoil: copy => writeFileSync(join(copy.directory, 'holiday.png'), 'png'),
      wanted: copy => join(copy.directory, 'holiday.png'),
      code: 2,
      says: /is no dump that is known here\n.*\.sql\.gz or \.dump\.zst/,
    },
  ]));

test('a custom dump without a manifest is refused: nothing else shows its damage', () =>
  assertRefused('custom', [
    {
      what: 'no manifest',
      spoil: copy => unlinkSync(copy.manifest),
      wanted: byPath,
      says: /has no manifest beside it/,
    },
  ]));

test('the copies that were spoilt are of a backup that restores', async () => {
  for (const format of ['plain', 'custom']) {
    const copy = copyOf(format);
    const done = await world.run('restore', [copy.id, '--yes'], {
      BACKUP_DIR: copy.directory,
      S3_BUCKET: '',
    });
    assert.is(done.code, 0, done.stderr);
    assert.ok(readdirSync(copy.directory).length >= 3);
    const finished = await world.run('restore', ['--finish', '--yes'], {});
    assert.is(finished.code, 0, finished.stderr);
  }
});

test('the servers stop', world.stop);

/** Changes the manifest's text, and asserts that it was there to be changed. */
function edit(path: string, from: string, to: string): void {
  const text = readFileSync(path, 'utf8');
  assert.ok(text.includes(from), `${path} has ${from}`);
  writeFileSync(path, text.replace(from, to));
}

test.run();
