import { chownSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { strayFiles } from '../../support/backup/faults.ts';
import { fill, withDisk } from '../../support/core/disk.ts';
import { createFullDiskWorld, MIB } from '../../support/core/full-disk-world.ts';
import { finishHere, makeBackup } from '../../support/core/in-process.ts';
import { history } from '../../support/core/world.ts';

const { world, whole, TOO_SMALL, SMALL, at, inDirectory, runs, run, serves } = await createFullDiskWorld();

test('the disk is full in the middle of a dump: said so, and nothing of it stays', () => {
  const BACKUP_DIR = at();
  return withDisk(BACKUP_DIR, TOO_SMALL, async () => {
    const { code, stderr } = await run('backup', ['--format', 'plain'], { BACKUP_DIR });
    assert.is(code, 1, stderr);
    assert.match(stderr, /things change/, 'preflight let it begin');
    assert.match(stderr, /error: could not dump app: gzip .*No space left on device\n {2}→ free some space/);
    assert.equal(readdirSync(BACKUP_DIR), []);
  });
});

test('fetching: a disk too small is refused before, one that fills up meanwhile is called full', async () => {
  const { id, artifact } = whole;
  const BACKUP_DIR = at();
  const env = { BACKUP_DIR, S3_BUCKET: world.s3.bucket };
  await withDisk(BACKUP_DIR, artifact.bytes - MIB, async () => {
    const { code, stderr } = await run('restore', ['latest', '--from', 's3', '--yes'], env);
    assert.is(code, 1, stderr);
    assert.match(stderr, /the disk of .* has .* free, and about .* are needed\n {2}→ free some space/);
    assert.equal(readdirSync(BACKUP_DIR), []);
  });
  // A plain object's size is not known before, when it has no manifest.
  const stored = join(world.s3.directory, 'bucket/database');
  const manifests = readdirSync(stored).filter(each => each.includes('.json'));
  assert.ok(manifests.length > 0);
  for (const each of manifests) rmSync(join(stored, each));
  await withDisk(BACKUP_DIR, artifact.bytes - MIB, async () => {
    const source = `s3://bucket/database/${id}.sql.gz`;
    const { code, stderr } = await run('restore', [source, '--yes'], env);
    assert.is(code, 1, stderr);
    assert.match(stderr, /ENOSPC: no space left on device.*\n {2}→ free some space/);
    assert.equal(readdirSync(BACKUP_DIR), []);
  });
  await serves();
});

test('the disk is full when a restore decompresses: one connection instead, and it succeeds', async () => {
  const BACKUP_DIR = at();
  await withDisk(BACKUP_DIR, 8 * MIB, async () => {
    const env = { ...SMALL, BACKUP_DIR };
    await world.sql("CREATE TABLE long AS SELECT repeat('x', 5000000) AS data", 'small'); // a few KB, compressed
    await makeBackup(world, { format: 'custom', upload: false }, env);
    const filler = fill(BACKUP_DIR, 4 * MIB);
    const restore = await run('restore', ['latest', '--from', 'local', '--yes'], env);
    assert.is(restore.code, 0, restore.stderr);
    assert.match(restore.stderr, /compared with the backup: 11 rows in 2 tables/);
    assert.match(restore.stderr, /too little to decompress .*: loading with one connection/);
    rmSync(filler);
    assert.equal(strayFiles(inDirectory(BACKUP_DIR)), []);
  });
  await finishHere(world, SMALL);
  await serves();
});

test('the disk is full when the safety backup is made: the restore stops, the live database serves', async () => {
  const file = join(world.env.BACKUP_DIR!, whole.artifact.name);
  const BACKUP_DIR = at();
  await withDisk(BACKUP_DIR, TOO_SMALL, async () => {
    const { code, stderr } = await run('restore', [file, '--yes'], { BACKUP_DIR, BACKUP_FORMAT: 'custom' });
    assert.is(code, 1, stderr);
    assert.match(stderr, /could not dump app: zstd .*No space left on device/);
    assert.equal(readdirSync(BACKUP_DIR), []);
  });
  await serves();
});

for (const script of ['backup', 'restore']) {
  test(`${script}: a backup directory that is read-only is named, with all else that is wrong`, () => {
    const BACKUP_DIR = at();
    return withDisk(BACKUP_DIR, undefined, async () => {
      const args = script === 'restore' ? ['latest', '--yes'] : [];
      const { code, stderr } = await run(script, args, { BACKUP_DIR, PGPORT: '1' });
      assert.is(code, 1, stderr);
      assert.match(stderr, /2 problems found; nothing was changed:/);
      assert.match(stderr, /- BACKUP_DIR \(.*\) can't be written: EROFS/);
      assert.match(stderr, /- PostgreSQL \(127\.0\.0\.1:1\) can't be used/);
    });
  });
}

test('as a user who owns none of the directories: named, with what to do', async () => {
  const nobody = { uid: 65_534, gid: 65_534 };
  const owned = at();
  mkdirSync(owned, { mode: 0o755 });
  const { code, stderr } = await world.run('backup', [], SMALL, nobody);
  assert.is(code, 1, stderr);
  assert.match(stderr, /error: EACCES: permission denied.*\n {2}→ run as the user who owns it/);
  const own = { ...SMALL, BACKUP_DIR: `${owned}/b`, STATE_DIR: `${owned}/s`, LOG_DIR: `${owned}/l` };
  const made = await world.run('backup', [], own);
  assert.is(made.code, 0, made.stderr);
  assert.ok(existsSync(own.BACKUP_DIR));
  for (const directory of [own.STATE_DIR, own.LOG_DIR]) {
    for (const name of ['', ...readdirSync(directory)])
      chownSync(join(directory, name), nobody.uid, nobody.gid);
  }
  const refused = await world.run('backup', [], own, nobody);
  assert.is(refused.code, 1, refused.stderr);
  assert.match(refused.stderr, /BACKUP_DIR \(.*\) can't be written: EACCES/);
});

test('the history has every run, the failed ones with their error', () => {
  assert.ok(runs.length >= 4);
  const lines = history(world).map(({ script, exitCode, error }) => ({
    script,
    exitCode,
    error: error !== undefined,
  }));
  assert.equal(lines, runs);
});

test('the servers stop', world.stop);

test.run();
