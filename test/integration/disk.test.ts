import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { gateAt, strayFiles } from '../support/backup/faults.ts';
import { executeHere } from '../support/cli/execute-here.ts';
import { fill, withDisk } from '../support/core/disk.ts';
import { createFullDiskWorld, MIB } from '../support/core/full-disk-world.ts';
import { captured } from '../support/core/here.ts';
import { makeBackup, refused, restoreHere } from '../support/core/in-process.ts';
import { history } from '../support/core/world.ts';

const { world, whole, TOO_SMALL, SMALL, at, inDirectory, runs, start, here, serves } =
  await createFullDiskWorld();

test('a disk that the estimate does not fit on is refused before anything is written', () => {
  const BACKUP_DIR = at();
  return withDisk(BACKUP_DIR, 2 * MIB, async () => {
    const { code, stderr } = await here('backup', [], { BACKUP_DIR });
    assert.is(code, 1, stderr);
    assert.match(
      stderr,
      /BACKUP_DIR \(.*\) has 2\.00 MiB free, and about .* are needed\n {2}→ free some space/,
    );
    assert.not.match(stderr, /from here on, things change/);
    assert.equal(readdirSync(BACKUP_DIR), []);
  });
});

/** Of the safety backup of a restore: test/long/integration/disk.test.ts. */
test('the disk is full in the middle of a dump: said so, and nothing of it stays', () => {
  const BACKUP_DIR = at();
  return withDisk(BACKUP_DIR, TOO_SMALL, async () => {
    const { code, stderr, error } = await captured(() => makeBackup(world, {}, { BACKUP_DIR }));
    assert.is(code, 1, error);
    assert.match(stderr, /things change/, 'preflight let it begin');
    assert.match(error, /could not dump app: gzip .*No space left on device/);
    assert.equal(readdirSync(BACKUP_DIR), []);
  });
});

test('the disk is full when the manifest is written: no backup, and nothing of it stays', () => {
  const BACKUP_DIR = at();
  return withDisk(BACKUP_DIR, 8 * MIB, async () => {
    const gate = gateAt(world, { program: 'gzip', args: '^-dc' }); // after the dump
    const started = start('backup', ['--format', 'plain'], { BACKUP_DIR, ...SMALL, ...gate.env });
    await gate.reached();
    const filler = fill(BACKUP_DIR);
    gate.open();
    const { code, stderr } = await started.ended;
    assert.is(code, 1, stderr);
    assert.match(stderr, /error: ENOSPC: no space left on device.*\n {2}→ free some space/);
    assert.not.match(stderr, /this is a bug/);
    rmSync(filler);
    assert.equal(readdirSync(BACKUP_DIR), []);
  });
});

test('fetching: a disk too small is refused before, one that fills up meanwhile is called full', async () => {
  const { id, artifact } = whole;
  const BACKUP_DIR = at();
  const env = { BACKUP_DIR, S3_BUCKET: world.s3.bucket };
  await withDisk(BACKUP_DIR, artifact.bytes - MIB, async () => {
    const restore = () => restoreHere(world, 'latest', { from: 's3' }, env);
    await refused(restore, 1, /the disk of .* has .* free, and about .* are needed\n {2}→ free some space/);
    assert.equal(readdirSync(BACKUP_DIR), []);
  });
  // A plain object's size is not known before, when it has no manifest.
  const stored = join(world.s3.directory, 'bucket/database');
  const manifests = readdirSync(stored).filter(each => each.includes('.json'));
  assert.ok(manifests.length > 0);
  for (const each of manifests) rmSync(join(stored, each));
  await withDisk(BACKUP_DIR, artifact.bytes - MIB, async () => {
    const source = `s3://bucket/database/${id}.sql.gz`;
    const restore = () => restoreHere(world, source, {}, env);
    await refused(restore, 1, /ENOSPC: no space left on device.*\n {2}→ free some space/);
    assert.equal(readdirSync(BACKUP_DIR), []);
  });
  await serves();
});

/** With the live database replaced: test/long/integration/disk.test.ts. */
test('the disk is full when a restore decompresses: one connection instead, and it succeeds', async () => {
  const BACKUP_DIR = at();
  await withDisk(BACKUP_DIR, 8 * MIB, async () => {
    const env = { ...SMALL, BACKUP_DIR };
    await world.sql("CREATE TABLE long AS SELECT repeat('x', 5000000) AS data", 'small'); // a few KB, compressed
    await makeBackup(world, { format: 'custom', upload: false }, env);
    const filler = fill(BACKUP_DIR, 4 * MIB);
    const flags = { from: 'local', database: 'copy' };
    const restore = await captured(() => restoreHere(world, 'latest', flags, env));
    assert.is(restore.code, 0, restore.error);
    assert.match(restore.stderr, /compared with the backup: 11 rows in 2 tables/);
    assert.match(restore.stderr, /too little to decompress .*: loading with one connection/);
    rmSync(filler);
    assert.equal(strayFiles(inDirectory(BACKUP_DIR)), []);
  });
  await world.sql('DROP DATABASE copy', 'postgres');
  await serves();
});

/** Of a restore: test/long/integration/disk.test.ts. */
test('a backup directory that is read-only is named, with all else that is wrong', () => {
  const BACKUP_DIR = at();
  return withDisk(BACKUP_DIR, undefined, async () => {
    const { code, stderr } = await here('backup', [], { BACKUP_DIR, PGPORT: '1' });
    assert.is(code, 1, stderr);
    assert.match(stderr, /2 problems found; nothing was changed:/);
    assert.match(stderr, /- BACKUP_DIR \(.*\) can't be written: EROFS/);
    assert.match(stderr, /- PostgreSQL \(127\.0\.0\.1:1\) can't be used/);
  });
});

test('a state directory that is read-only: said so, nothing begun', () => {
  const STATE_DIR = at();
  return withDisk(STATE_DIR, undefined, async () => {
    const { code, stderr } = await executeHere('backup', [], { ...world.env, ...SMALL, STATE_DIR });
    assert.is(code, 1, stderr);
    assert.match(
      stderr,
      /error: EROFS: read-only file system, open '.*production\.lock'\n {2}→ the disk is mounted read-only/,
    );
    assert.not.match(stderr, /this is a bug|things change/);
  });
});

test('a disk of state and logs that is full: the lock holds all the same, and the backup is made', () => {
  const STATE_DIR = at();
  const LOG_DIR = join(STATE_DIR, 'logs');
  return withDisk(STATE_DIR, 64 * 1024, async () => {
    fill(STATE_DIR);
    const BACKUP_DIR = at();
    const gate = gateAt(world, { program: 'gzip', args: '^-dc' });
    const env = { ...SMALL, STATE_DIR, LOG_DIR, BACKUP_DIR };
    const started = world.start('backup', ['--format', 'plain'], { ...env, ...gate.env });
    await gate.reached();
    const second = await executeHere('backup', [], { ...world.env, ...env });
    assert.is(second.code, 75, second.stderr);
    gate.open();
    const { code, stderr } = await started.ended;
    assert.is(code, 0, stderr);
    assert.match(stderr, /warning: can't write the holder of the lock to .*production\.lock: ENOSPC/);
    assert.match(stderr, /warning: this run is not in the history: ENOSPC/);
    assert.is(stderr.match(/warning: no more messages to .*backup\.log: ENOSPC/g)?.length, 1);
    assert.is(readdirSync(BACKUP_DIR).length, 3);
  });
});

test('a log directory that is read-only: said once, and the backup is made', () => {
  const LOG_DIR = at();
  return withDisk(LOG_DIR, undefined, async () => {
    const BACKUP_DIR = at();
    const env = { ...SMALL, BACKUP_DIR, LOG_DIR: join(LOG_DIR, 'of-app') };
    const { code, stderr } = await here('backup', [], env);
    assert.is(code, 0, stderr);
    assert.is(stderr.match(/warning: no more messages to .*backup\.log/g)?.length, 1);
    assert.is(readdirSync(BACKUP_DIR).length, 3);
  });
});

/** Of a directory for backups: test/long/integration/disk.test.ts. */
test('as a user who owns none of the directories: named, with what to do', async () => {
  const nobody = { uid: 65_534, gid: 65_534 };
  const { code, stderr } = await world.run('backup', [], SMALL, nobody);
  assert.is(code, 1, stderr);
  assert.match(stderr, /error: EACCES: permission denied.*\n {2}→ run as the user who owns it/);
});

test('the history has every run, the failed ones with their error', () => {
  assert.ok(runs.length >= 4 && runs.some(({ error }) => !error));
  const lines = history(world).map(({ script, exitCode, error }) => ({
    script,
    exitCode,
    error: error !== undefined,
  }));
  assert.equal(lines, runs);
});

test('the servers stop', world.stop);

test.run();
