/** A small disk of the live database. */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { runDrill } from '../../../scripts/lib/drill/run-drill.ts';
import { reserveOf } from '../../../scripts/lib/postgres/disk-space.ts';
import { parseAction, type RestoreRequest } from '../../../scripts/lib/restore/options.ts';
import { runRestore } from '../../../scripts/lib/restore/run-restore.ts';
import { gateAt, otherDatabases, strayFiles } from '../backup/faults.ts';
import { configOf, plant } from '../backup/old-backups.ts';
import { fill, leaveFree, withDisk } from '../core/disk.ts';
import { backUpHere, here } from '../core/here.ts';
import { makeBackup, refused, restoreHere } from '../core/in-process.ts';
import { createWorld, type World } from '../core/world.ts';
import { program } from '../postgres/compare.ts';

const MIB = 1024 * 1024;
/** The database has 25 MiB, and loading it writes about as much WAL again. */
const ROWS = 14_000;
/** More than 1.2 times the database, and less than data and WAL. */
const FREE = 31 * MIB;

/** A load goes as fast as its rows come: a busy machine, too, has the time to look at its disk. */
const SLOW = `CREATE OR REPLACE FUNCTION slow(i int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN
  IF i % 500 = 0 THEN PERFORM pg_catalog.pg_sleep(0.1); END IF;
  RETURN true;
END $$`;

const home = mkdtempSync(join(tmpdir(), 'space-'));
chmodSync(home, 0o755);
const disk = join(home, 'disk');

/** A world whose servers have their data on a small disk; S3 holds little. */
async function createSmall(): Promise<World> {
  chmodSync(disk, 0o755);
  const { TMPDIR } = process.env;
  process.env.TMPDIR = disk;
  try {
    const directory = join(home, 'world');
    mkdirSync(directory);
    return await createWorld({ directory });
  } finally {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
  }
}

function free(path = disk): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** What stays free for the live database: segments of WAL have 1 MiB in tests. */
function reserve(): number {
  const { blocks, bsize } = statfsSync(disk);
  return reserveOf(blocks * bsize, MIB);
}

async function onSmallDisk(body: (world: World) => Promise<void>): Promise<void> {
  try {
    await withDisk(disk, 180 * MIB, async () => {
      const world = await createSmall();
      try {
        await body(world);
      } finally {
        await world.stop();
      }
    });
  } finally {
    rmSync(home, { recursive: true });
  }
}

/** The live database is whole, nothing stays of the run, and the server never stopped. */
async function serves(world: World): Promise<void> {
  assert.is((await world.rows<{ rows: number }>('SELECT count(*) AS rows FROM t'))[0]!.rows, ROWS);
  assert.equal(await otherDatabases(world), []);
  assert.equal(strayFiles(world), []);
  const log = readFileSync(join(world.pg.directory!, 'server.log'), 'utf8');
  assert.not.match(log, /PANIC|No space left|not properly shut down/);
}

/** The live database fills the disk while something small is loaded. */
async function fillWhileLoading(world: World): Promise<void> {
  await world.sql('CREATE DATABASE tiny', 'postgres');
  await world.sql('CREATE TABLE one AS SELECT 1 AS i', 'tiny');
  const tiny = { POSTGRES_DB: 'tiny' };
  const { artifact: ofTiny } = await makeBackup(world, { upload: false }, tiny);
  const gate = gateAt(world, { program: 'psql', args: '--file=-' });
  const path = join(world.env.BACKUP_DIR!, ofTiny.name);
  leaveFree(disk, FREE);
  const request = parseAction(path, { yes: true, database: 'other' }) as RestoreRequest;
  const loading = here(world, gate.env, () => runRestore(configOf(world, {}), request));
  const early = loading.then(done => assert.unreachable(`it ended before it loaded: ${done.error}`));
  await Promise.race([gate.reached(), early]);
  early.catch(() => {});
  await world.sql('CREATE TABLE growing (data text)');
  let over = false;
  void loading.then(() => {
    over = true;
  });
  while (!over && free() > reserve() - MIB)
    await world.sql(`INSERT INTO growing SELECT data FROM t LIMIT 1000`);
  const { code, error } = await loading;
  assert.is(code, 1, error);
  assert.match(error, /^loading app_new_\d+_\d+ was ended/);
  await world.sql('DROP TABLE growing');
  await world.sql('DROP DATABASE tiny', 'postgres');
  await serves(world);
}

/**
 * What a drill, a restore and a backup leave of a small disk.
 * @param all also a dump that says it is small, a live database that grows meanwhile, and pg_wal on a disk of its own
 */
export const assertSpaceLeft = (all: boolean): Promise<void> =>
  onSmallDisk(async world => {
    // Too short for PostgreSQL to compress.
    await world.sql(
      `CREATE FUNCTION slow(i int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
       CREATE TABLE t (i int CHECK (slow(i)), data text);
       INSERT INTO t SELECT i, repeat('x', 1280) AS data FROM generate_series(1, ${ROWS}) AS i;
       ${SLOW}`,
    );
    const custom = all && (await makeBackup(world, { format: 'custom' }));
    const { artifact: plain } = await makeBackup(world, { format: 'plain', upload: !all });
    const drill = () => here(world, {}, () => runDrill(configOf(world, {})));

    // A drill whose WAL does not fit is refused before anything changes.
    leaveFree(disk, FREE);
    const first = await drill();
    assert.is(first.code, 1, first.stderr);
    assert.match(
      first.error,
      /^the database’s disk has 3[01]\.\d MiB free, and about [\d.]+ MiB are needed: 25\.\d MiB for data, .* for WAL, [\d.]+ MiB that stay free/,
      first.error,
    );
    assert.not.match(first.stderr, /things change/);
    await serves(world);

    // Nothing says how large a dump becomes, or what says it is wrong: its load is ended.
    const unknown = join(home, 'unknown.sql.gz');
    copyFileSync(join(world.env.BACKUP_DIR!, plain.name), unknown);
    const dumps = [unknown];
    if (custom) {
      const manifest = { databaseBytes: MIB };
      const wrong = await plant(world.env.BACKUP_DIR!, custom.id, { days: 1, manifest }, home);
      dumps.push(join(home, wrong.artifact.name));
    }
    for (const dump of dumps) {
      leaveFree(disk, FREE);
      const text = await refused(
        () => restoreHere(world, dump, { database: 'other' }),
        1,
        /^loading app_new_\d+_\d+ was ended: the disk of .* has [\d.]+ [KM]iB free, and [\d.]+ MiB stay free/,
        /→ the live database is unchanged\. Free some space: /,
      );
      assert.ok(Number(/has ([\d.]+) MiB/.exec(text)![1]) > 0, text);
      await serves(world);
    }

    // The backup of the live database on the same disk: counted before a restore, and ended, too.
    const BACKUP_DIR = join(disk, 'backups');
    const source = join(world.env.BACKUP_DIR!, plain.name);
    await refused(
      () => restoreHere(world, source, {}, { BACKUP_DIR }),
      1,
      /^the database’s disk and BACKUP_DIR \(.*\) has .*: 25\.\d MiB for data, .* for WAL, [\d.]+ .?i?B for a backup, [\d.]+ MiB that stay free/,
    );
    leaveFree(disk, FREE);
    const dump = gateAt(world, { program: 'pg_dump', args: '--snapshot' });
    const dumping = backUpHere(world, { ...dump.env, BACKUP_DIR }, { upload: false });
    await dump.reached();
    const filler = fill(disk, reserve() - MIB);
    const { code: ended, error: why } = await dumping;
    assert.is(ended, 1, why);
    assert.match(
      why,
      /^dumping app was ended: the disk of .* has [\d.]+ [KM]iB free, and [\d.]+ MiB stay free/,
    );
    rmSync(filler);
    assert.equal(readdirSync(BACKUP_DIR), []);
    await serves(world);

    if (all) await fillWhileLoading(world);

    if (!all) return;

    // pg_wal on a disk of its own.
    const wal = join(home, 'wal');
    await withDisk(wal, 400 * MIB, async () => {
      const inside = join(world.pg.directory!, 'data/pg_wal');
      await world.pg.halt();
      await program(world, 'cp', '-a', inside, `${wal}/`);
      rmSync(inside, { recursive: true });
      chmodSync(wal, 0o755);
      symlinkSync(`${wal}/pg_wal`, inside);
      await world.pg.resume();
      leaveFree(disk, 2 * FREE);
      leaveFree(wal, 4 * MIB);
      const refusal = await drill();
      assert.match(
        refusal.error,
        /^the disk of pg_wal has [\d.]+ MiB free, and about .*: .* for WAL, [\d.]+ MiB that [^;]*$/,
        refusal.error,
      );
      assert.ok(existsSync(inside));
      await serves(world);
      await world.pg.halt();
    });
  });
