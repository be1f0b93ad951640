/** The migrations of an image, which may hold anything: read from the archive that Docker copies, never followed to this host. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig } from '../../scripts/lib/config/config.ts';
import { migrationFiles, sqlOf } from '../../scripts/lib/migrations/image-files.ts';
import { refused } from '../support/core/in-process.ts';
import { entryOf, installStub, packDirectory, writeFiles } from '../support/migrations/image-stub.ts';

const home = mkdtempSync(join(tmpdir(), 'image-'));
const calls = installStub(home);
process.env.PATH = `${home}:${process.env.PATH}`;
process.env.TMPDIR = join(home, 'tmp'); // where the product puts its own
mkdirSync(process.env.TMPDIR);
const config = loadConfig('production', { HOME: home, STATE_DIR: home, LOG_DIR: home });
const IMAGE = 'registry.example/shop/backend@sha256:0123';
const read = () => migrationFiles(config, IMAGE);

/** What is read of an archive with these entries. */
const unpack = (...entries: Buffer[]) => sqlOf(Buffer.concat([...entries, Buffer.alloc(1024)]), 'migrations');

/** Makes the image of a directory, or of nothing. */
function image(content?: Record<string, string | Buffer>, link?: [path: string, target: string]): void {
  rmSync(join(home, 'image.tar'), { force: true });
  if (!content) return;
  const directory = mkdtempSync(join(home, 'files-'));
  writeFiles(directory, content);
  if (link) symlinkSync(link[1], join(directory, link[0]));
  packDirectory(home, directory);
}

/** Asserts that the image is refused, that the container is removed, and that nothing is left. */
async function refuses(message: RegExp): Promise<void> {
  const text = await refused(read, 1, message);
  assert.not.match(text, /root:/);
  assert.is(calls().at(-1), 'rm --force 0123abcd');
  assert.equal(readdirSync(process.env.TMPDIR!), []);
}

const SQL = 'SELECT 1';

test('the migrations of an image are read in their order, and what is beside them is not', async () => {
  const long = `20250203000000_${'x'.repeat(150)}`; // longer than the field of an archive
  image({
    'migration_lock.toml': 'provider = "postgresql"',
    '20250202000000_b/migration.sql': '-- Ümläute\nSELECT 2',
    '0_init/migration.sql': SQL,
    '0_init/down.sql': 'DROP',
    '0_init/more/migration.sql': 'DROP',
    [`${long}/migration.sql`]: '',
  });
  assert.equal(
    [...(await read())!],
    [
      ['0_init', SQL],
      ['20250202000000_b', '-- Ümläute\nSELECT 2'],
      [long, ''],
    ],
  );
  assert.equal(calls().slice(-2), ['cp --quiet 0123abcd:/app/prisma/migrations/. -', 'rm --force 0123abcd']);
  assert.equal(readdirSync(process.env.TMPDIR!), []);
});

test('an archive whose root has a name, and one with names as GNU tar writes them', () => {
  const long = `1_${'y'.repeat(120)}`;
  const read = unpack(
    entryOf('migrations/', '5'),
    entryOf('migrations/0_init/', '5'),
    entryOf('migrations/0_init/migration.sql', '0', SQL),
    entryOf('././@LongLink', 'L', `migrations/${long}/migration.sql\0`),
    entryOf('cut off', '0', SQL),
  );
  assert.equal(read, [
    ['0_init', SQL],
    [long, SQL],
  ]);
});

test('an archive whose root is a dot, as Docker’s', () => {
  const read = unpack(
    entryOf('./', '5'),
    entryOf('migration_lock.toml', '0', 'x'),
    entryOf('0_init/', '5'),
    entryOf('0_init/migration.sql', '0', SQL),
  );
  assert.equal(read, [['0_init', SQL]]);
});

test('no directory of migrations', async () => {
  image();
  assert.is(await read(), undefined);
});

test('a link to a file of this host is refused, wherever it is', async () => {
  const secret = join(home, 'secret');
  writeFileSync(secret, 'root:x:0');
  const rest = { '0_init/migration.sql': SQL, '1_link/x': '' };
  image(rest, ['1_link/migration.sql', secret]);
  await refuses(/backend@sha256:0123: 1_link\/migration\.sql is a symbolic link/);
  image(rest, ['2_link', '/etc']);
  await refuses(/2_link is a symbolic link/);
  image(rest, ['0_init/other', '../../..']);
  await refuses(/0_init\/other is a symbolic link/);
});

const DIRECTORY = entryOf('./0_init/', '5');

test('what is neither a file nor a directory is refused', () => {
  const kinds = { 1: 'a hard link', 2: 'a symbolic link', 3: 'a device', 4: 'a device', 6: 'a named pipe' };
  for (const [type, kind] of Object.entries({ ...kinds, S: 'of an unknown kind' })) {
    const entry = entryOf('./0_init/migration.sql', type);
    assert.throws(() => unpack(DIRECTORY, entry), new RegExp(`^0_init/migration\\.sql is ${kind}$`));
  }
  const directory = entryOf('./0_init/migration.sql/', '5');
  assert.throws(() => unpack(DIRECTORY, directory), /^0_init\/migration\.sql is a directory/);
});

test('a migration without its file, or with two', () => {
  assert.throws(() => unpack(DIRECTORY), /^0_init has no migration\.sql/);
  const twice = entryOf('./0_init/migration.sql', '0', SQL);
  assert.throws(() => unpack(DIRECTORY, twice, twice), /^0_init\/migration\.sql is there twice/);
});

test('names that are no migration’s are refused, and shown without what controls a terminal', () => {
  for (const name of [
    '-rf',
    '.hidden',
    '0 init',
    'x\x1b[2J',
    'a\nb',
    "it's",
    '1_$(id)',
    'ä',
    'x'.repeat(256),
  ]) {
    const entries = [entryOf('././@LongLink', 'L', `./${name}/\0`), entryOf('x', '5')];
    assert.throws(() => unpack(...entries), /^"[ -~ä]*" is no name of a migration$/);
  }
  for (const path of ['./../../etc/cron.d/x', '/etc/cron.d/x', './0_init/../../x', './0_init//migration.sql'])
    assert.throws(() => unpack(entryOf(path, '0', SQL)), / leads out of its directory$/);
});

test('what is too large, or no text', () => {
  const refuses = (content: Buffer | string, message: RegExp) =>
    assert.throws(() => unpack(DIRECTORY, entryOf('./0_init/migration.sql', '0', content)), message);
  refuses(Buffer.alloc(8 * 1024 * 1024 + 1, 'x'), /0_init\/migration\.sql is larger than 8\.00 MiB/);
  refuses(Buffer.from('SELECT \xff', 'latin1'), /0_init\/migration\.sql is not UTF-8/);
  refuses('SELECT 1;\0 DROP TABLE users', /0_init\/migration\.sql has a NUL byte/);
});

test('a damaged archive', () => {
  const whole = entryOf('./0_init/migration.sql', '0', SQL.repeat(200));
  assert.throws(() => sqlOf(whole.subarray(0, 700), ''), /^its archive ends in the middle/);
  assert.throws(() => sqlOf(whole.subarray(0, 300), ''), /^its archive ends in the middle/);
  whole[0] = 0x2f;
  assert.throws(() => unpack(whole), /^its archive is damaged/);
  assert.throws(() => unpack(entryOf('x', 'x', '99 path=y\n')), /^its archive is damaged/);
});

test('a larger archive is not read to its end', async () => {
  const docker = readFileSync(join(home, 'docker'), 'utf8');
  writeFileSync(
    join(home, 'docker'),
    docker.replace('exec cat', `head -c ${1e8} /dev/zero && touch '${home}/whole' && exec cat`),
  );
  await refuses(/its directory is larger than 64\.0 MiB/);
  assert.not.ok(existsSync(join(home, 'whole')), 'Docker wrote no more');
});

test('the files are removed', () => rmSync(home, { recursive: true }));

test.run();
