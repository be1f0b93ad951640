import { chownSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fill, withDisk } from '../support/disk.ts';
import { gateAt, otherDatabases, strayFiles } from '../support/faults.ts';
import { createWorld, history, type World } from '../support/world.ts';

const MIB = 1024 * 1024;
const ROWS = 1500;
const world = await createWorld();
// 12 MB that no compressor makes smaller: more than preflight estimates, which is a quarter of the database.
await world.sql(`CREATE TABLE t AS SELECT i, (SELECT string_agg(sha512(format('%s,%s', i, j)::bytea), '')
  FROM generate_series(1, 125) AS j) AS data FROM generate_series(1, ${ROWS}) AS i`);

const disks = { number: 0 };
/** A directory of its own for backups, logs or state, below the world's. */
const at = () => join(world.directory, `disk-${++disks.number}`);
/** The world as the scripts see it with another backup directory. */
const inDirectory = (BACKUP_DIR: string): World => ({ ...world, env: { ...world.env, BACKUP_DIR } });

async function serves(): Promise<void> {
  assert.is((await world.rows<{ rows: number }>('SELECT count(*) AS rows FROM t'))[0]!.rows, ROWS);
  assert.equal(await otherDatabases(world), []);
}

test('a disk that the estimate does not fit on is refused before anything is written', () => {
  const BACKUP_DIR = at();
  return withDisk(BACKUP_DIR, 2 * MIB, async () => {
    const { code, stderr } = await world.run('backup', [], { BACKUP_DIR });
    assert.is(code, 1, stderr);
    assert.match(
      stderr,
      /BACKUP_DIR \(.*\) has 2\.00 MiB free, and about .* are needed\n {2}→ free some space/,
    );
    assert.not.match(stderr, /from here on, things change/);
    assert.equal(readdirSync(BACKUP_DIR), []);
  });
});

for (const format of ['plain', 'custom']) {
  test(`the disk is full in the middle of a dump (${format}): said so, and nothing of it stays`, () => {
    const BACKUP_DIR = at();
    return withDisk(BACKUP_DIR, 7.5 * MIB, async () => {
      const { code, stderr } = await world.run('backup', ['--format', format], { BACKUP_DIR });
      assert.is(code, 1, stderr);
      assert.match(stderr, /things change/, 'preflight let it begin');
      assert.match(
        stderr,
        /error: could not dump app: (gzip|zstd) .*No space left on device\n {2}→ free some space/,
      );
      assert.equal(readdirSync(BACKUP_DIR), []);
    });
  });
}

test('the disk is full when the manifest is written: no backup, and nothing of it stays', () => {
  const BACKUP_DIR = at();
  return withDisk(BACKUP_DIR, 40 * MIB, async () => {
    const gate = gateAt(world, { program: 'gzip', args: '^-dc' }); // after the dump
    const started = world.start('backup', ['--format', 'plain'], { BACKUP_DIR, ...gate.env });
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
  const backup = await world.run('backup', ['--json']);
  assert.is(backup.code, 0, backup.stderr);
  const { bytes } = JSON.parse(backup.stdout).backup.artifact;
  const BACKUP_DIR = at();
  await withDisk(BACKUP_DIR, bytes - MIB, async () => {
    const { code, stderr } = await world.run('restore', ['latest', '--from', 's3', '--yes'], { BACKUP_DIR });
    assert.is(code, 1, stderr);
    assert.match(stderr, /BACKUP_DIR \(.*\) has .* free, and about .* are needed\n {2}→ free some space/);
    assert.equal(readdirSync(BACKUP_DIR), []);
  });
  // A plain object's size is not known before, when it has no manifest.
  const name = `${JSON.parse(backup.stdout).backup.id}.sql.gz`;
  const [manifest] = readdirSync(join(world.s3.directory, 'bucket/database')).filter(each =>
    each.includes('.json'),
  );
  assert.ok(manifest);
  for (const each of readdirSync(join(world.s3.directory, 'bucket/database'))) {
    if (each.includes('.json')) rmSync(join(world.s3.directory, 'bucket/database', each));
  }
  await withDisk(BACKUP_DIR, bytes - MIB, async () => {
    const source = `s3://bucket/database/${name}`;
    const { code, stderr } = await world.run('restore', [source, '--yes'], { BACKUP_DIR });
    assert.is(code, 1, stderr);
    assert.match(stderr, /ENOSPC: no space left on device.*\n {2}→ free some space/);
    assert.equal(readdirSync(BACKUP_DIR), []);
  });
  await serves();
});

test('the disk is full when a restore decompresses: one connection instead, and it succeeds', async () => {
  const BACKUP_DIR = at();
  await withDisk(BACKUP_DIR, 44 * MIB, async () => {
    const backup = await world.run('backup', ['--format', 'custom', '--no-upload'], { BACKUP_DIR });
    assert.is(backup.code, 0, backup.stderr);
    const filler = fill(BACKUP_DIR, 18 * MIB);
    const restore = await world.run('restore', ['latest', '--from', 'local', '--yes'], { BACKUP_DIR });
    assert.is(restore.code, 0, restore.stderr);
    assert.match(restore.stderr, /too little to decompress .*: loading with one connection/);
    rmSync(filler);
    assert.equal(strayFiles(inDirectory(BACKUP_DIR)), []);
  });
  const finish = await world.run('restore', ['--finish', '--yes']);
  assert.is(finish.code, 0, finish.stderr);
  await serves();
});

test('the disk is full when the safety backup is made: the restore stops, the live database serves', async () => {
  const backup = await world.run('backup', ['--no-upload']);
  assert.is(backup.code, 0, backup.stderr);
  const file = join(
    world.env.BACKUP_DIR!,
    readdirSync(world.env.BACKUP_DIR!)
      .filter(name => /\d\.sql\.gz$/.test(name))
      .at(-1)!,
  );
  const BACKUP_DIR = at();
  await withDisk(BACKUP_DIR, 7.5 * MIB, async () => {
    const { code, stderr } = await world.run('restore', [file, '--yes'], { BACKUP_DIR });
    assert.is(code, 1, stderr);
    assert.match(stderr, /could not dump app: gzip .*No space left on device/);
    assert.equal(readdirSync(BACKUP_DIR), []);
  });
  await serves();
});

for (const script of ['backup', 'restore']) {
  test(`${script}: a backup directory that is read-only is named, with all else that is wrong`, () => {
    const BACKUP_DIR = at();
    return withDisk(BACKUP_DIR, undefined, async () => {
      const args = script === 'restore' ? ['latest', '--yes'] : [];
      const { code, stderr } = await world.run(script, args, { BACKUP_DIR, PGPORT: '1' });
      assert.is(code, 1, stderr);
      assert.match(stderr, /2 things are wrong; nothing was changed:/);
      assert.match(stderr, /- BACKUP_DIR \(.*\) can't be written: EROFS/);
      assert.match(stderr, /- PostgreSQL \(127\.0\.0\.1:1\) can't be used/);
    });
  });
}

test('a state directory that is read-only: said so, nothing begun', () => {
  const STATE_DIR = at();
  return withDisk(STATE_DIR, undefined, async () => {
    const { code, stderr } = await world.run('backup', [], { STATE_DIR });
    assert.is(code, 1, stderr);
    assert.match(
      stderr,
      /error: EROFS: read-only file system, open '.*production\.lock'\n {2}→ the disk is mounted read-only/,
    );
    assert.not.match(stderr, /this is a bug|things change/);
  });
});

test('a state directory that is full: the lock holds all the same, and the backup is made', () => {
  const STATE_DIR = at();
  return withDisk(STATE_DIR, 64 * 1024, async () => {
    fill(STATE_DIR);
    const { code, stderr } = await world.run('backup', [], { STATE_DIR });
    assert.is(code, 0, stderr);
    assert.match(stderr, /warning: who holds .*production\.lock can't be written there: ENOSPC/);
    assert.match(stderr, /warning: this run is not in the history: ENOSPC/);
  });
});

for (const [what, size] of [
  ['full', 64 * 1024],
  ['read-only', undefined],
] as const) {
  test(`a log directory that is ${what}: said once, and the backup is made`, () => {
    const LOG_DIR = at();
    return withDisk(LOG_DIR, size, async () => {
      if (size) fill(LOG_DIR);
      const { code, stderr } = await world.run('backup', [], { LOG_DIR: join(LOG_DIR, 'of-app') });
      assert.is(code, 0, stderr);
      assert.is(stderr.match(/warning: no more messages to .*backup\.log/g)?.length, 1);
    });
  });
}

test('as a user who owns none of the directories: named, with what to do', async () => {
  const nobody = { uid: 65_534, gid: 65_534 };
  const owned = at();
  mkdirSync(owned, { mode: 0o755 });
  const { code, stderr } = await world.run('backup', [], {}, nobody);
  assert.is(code, 1, stderr);
  assert.match(stderr, /error: EACCES: permission denied.*\n {2}→ run as the user who owns it/);
  const own = { BACKUP_DIR: `${owned}/b`, STATE_DIR: `${owned}/s`, LOG_DIR: `${owned}/l` };
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
  const restore = await world.run('restore', ['latest', '--yes'], own, nobody);
  assert.is(restore.code, 1, restore.stderr);
  assert.match(restore.stderr, /BACKUP_DIR \(.*\) can't be written: EACCES/);
});

test('the history has every run', () => {
  const codes = history(world).map(({ exitCode }) => exitCode);
  assert.ok(codes.includes(0) && codes.includes(1));
});

test('the servers stop', world.stop);

test.run();
