/** What list-backups.ts claims of each backup, and of dumps that are not of this environment. */
import { appendFileSync, cpSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { recordCheck } from '../../scripts/lib/backup/check-log.ts';
import type { ListedBackup } from '../../scripts/lib/backup/list.ts';
import { artifactName, globalsName, type Manifest } from '../../scripts/lib/backup/manifest.ts';
import { locate, openStore } from '../../scripts/lib/s3/open-store.ts';
import { list } from '../../scripts/list-backups.ts';
import { verify } from '../../scripts/verify-backup.ts';
import { configOf, plant } from '../support/backup/old-backups.ts';
import { runHere } from '../support/cli/commands.ts';
import { captured } from '../support/core/here.ts';
import { makeBackup, refused, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import type { World } from '../support/core/world.ts';

const { inTurn, stop } = await createTurns();

/** What list-backups.ts does after it has read its arguments; as a process: below, with `world.run`. */
async function listHere(world: World, options: { verify?: boolean } = {}) {
  const run = () => list.run({ options, positionals: [], config: () => configOf(world, {}) });
  const { value, error, stderr } = await captured(run);
  assert.ok(value, error);
  return { code: value.exitCode, stdout: `${value.text}\n`, stderr, listed: value.json as ListedBackup[] };
}
const listed = async (world: World) => (await listHere(world)).listed;

/** Made once; each test has a copy. */
let made: { manifest: Manifest; directory: string } | undefined;

async function localBackup(world: World): Promise<{ manifest: Manifest; path: string }> {
  const directory = world.env.BACKUP_DIR!;
  if (!made) {
    await world.sql('CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 1000) AS i');
    made = {
      manifest: await makeBackup(world, { upload: false }),
      directory: join(world.directory, '../made'),
    };
    cpSync(directory, made.directory, { recursive: true, preserveTimestamps: true });
  } else cpSync(made.directory, directory, { recursive: true, preserveTimestamps: true });
  return { manifest: made.manifest, path: join(directory, made.manifest.artifact.name) };
}

/** Flips one bit in the middle; the size stays. */
function flip(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(path, bytes);
}

test('a file that was written after it was read is not called verified, until it is read again', () =>
  inTurn(async world => {
    const { manifest, path } = await localBackup(world);
    const [fresh] = await listed(world);
    assert.is(fresh!.local, 'verified');
    assert.is(fresh!.readAt, manifest.verification.at);
    assert.is(fresh!.loadedAt, null);
    const later = new Date(Date.now() + 5000);
    utimesSync(path, later, later);
    assert.match((await listed(world))[0]!.local, /^changed since it was read/);
    utimesSync(path, new Date(), new Date());
    await runHere(verify, [manifest.id], configOf(world, {}));
    const [again] = await listed(world);
    assert.is(again!.local, 'verified');
    assert.ok(again!.readAt! > manifest.verification.at, 'read later than it was made');
  }));

for (const [what, keepsTime] of [
  ['which changes the time of its file', false],
  ['by the disk, which changes nothing else', true],
] as const)
  test(`a flipped bit, ${what}`, () =>
    inTurn(async world => {
      const { manifest, path } = await localBackup(world);
      const sound = await plant(world.env.BACKUP_DIR!, manifest.id, { days: 1 });
      const { atime, mtime } = statSync(path);
      flip(path);
      const [hour] = [new Date(Date.now() + 3_600_000)];
      utimesSync(path, keepsTime ? atime : hour, keepsTime ? mtime : hour);
      const [claimed] = await listed(world);
      assert.match(claimed!.local, keepsTime ? /^verified$/ : /^changed since it was read/);
      assert.is(claimed!.readAt, manifest.verification.at, 'the claim has its time');
      const done = await listHere(world, { verify: true });
      assert.is(done.code, 3, done.stderr);
      assert.match(done.stdout, new RegExp(`^${manifest.id} .*SHA-256`, 'm'));
      assert.match(done.stdout, new RegExp(`^${sound.id} .* verified `, 'm'));
    }));

test('a damaged line in the record of the checks is ignored, and said', () =>
  inTurn(async world => {
    const { manifest } = await localBackup(world);
    recordCheck(configOf(world, {}), { id: manifest.id, place: 'local', check: 'read' });
    const [before] = await listed(world);
    const record = join(world.env.STATE_DIR!, 'backup-checks.jsonl');
    for (const line of ['{"id":"neurma', '[]', '{"id":"x","place":"moon","check":"read","at":"now"}'])
      appendFileSync(record, `${line}\n`);
    const { listed: after, stderr } = await listHere(world);
    assert.is(stderr.match(/line \d of .*backup-checks\.jsonl is damaged and is ignored/g)?.length, 3);
    assert.is(after[0]!.readAt, before!.readAt);
  }));

test('an empty directory: where it has looked', () =>
  inTurn(async world => {
    const { stdout } = await listHere(world);
    const places = `in ${world.env.BACKUP_DIR} and in s3://bucket/database`;
    assert.is(stdout.trimEnd(), `no backups of app (production) ${places}`);
  }));

test('dumps of another origin are shown as such, and what is not a dump is not', () =>
  inTurn(async world => {
    const { manifest, path } = await localBackup(world);
    const directory = world.env.BACKUP_DIR!;
    const staging = await plant(directory, manifest.id, { environment: 'staging' });
    for (const name of ['neurmatic_20250106.sql.gz', 'app.dump']) cpSync(path, join(directory, name));
    for (const name of ['notes.txt', '.hidden.sql']) writeFileSync(join(directory, name), '');
    const { stdout } = await world.run('list-backups', []);
    const [head, foreign] = stdout.split('3 dumps of another origin');
    assert.match(head!, new RegExp(`${manifest.id} [^]*1 backup\n$`));
    const names = ['app.dump', 'neurmatic_20250106.sql.gz', staging.artifact.name].map(
      name => `  ${directory}/${name}`,
    );
    assert.is(foreign, `; restore.ts and verify-backup.ts take the path:\n${names.join('\n')}\n`);
  }));

test('dumps in S3 that other programs made are listed by their address, which restores one', () =>
  inTurn(async world => {
    const { manifest, path } = await localBackup(world);
    const store = await openStore(configOf(world, {}).s3!);
    const put = (name: string, from: string) =>
      store.client.putObject({ ...locate(store, name), Body: readFileSync(from) });
    const other = { ...manifest, id: manifest.id.replace('production', 'staging') };
    for (const name of [
      'neurmatic_20250106_020000.sql.gz',
      'backup-20250106-020000.sql',
      'notes.txt',
      'old/app.dump',
    ])
      await put(name, path);
    // Those of another environment or app in the same bucket are not foreign.
    for (const name of [
      artifactName(other.id, 'plain'),
      globalsName(other.id),
      `shop_production_20250106_020000.dump.zst`,
    ])
      await put(name, path);
    const { stdout, listed: all } = await listHere(world);
    const [, foreign] = stdout.split('2 dumps of another origin');
    const addresses = ['backup-20250106-020000.sql', 'neurmatic_20250106_020000.sql.gz'].map(
      name => `s3://bucket/database/${name}`,
    );
    const list = addresses.map(address => `  ${address}\n`).join('');
    assert.is(foreign, `; restore.ts and verify-backup.ts take the path or the address:\n${list}`);
    assert.equal(
      all.slice(1),
      addresses.map(file => ({ id: null, file, s3: 'foreign' })) as unknown as ListedBackup[],
    );
    await restoreHere(world, addresses[1], { database: 'old_data', 'allow-foreign': true });
    assert.is((await world.sql('SELECT count(*) FROM t', 'old_data')).trim(), '1000');
    await world.sql('DROP DATABASE old_data', 'postgres');
  }));

test('a dump without a manifest is not called unchanged', () =>
  inTurn(async world => {
    const { path } = await localBackup(world);
    const dump = join(world.directory, 'old.sql.gz');
    cpSync(path, dump);
    const { text: stdout = '' } = await runHere(verify, [dump], configOf(world, {}));
    assert.match(stdout, /^complete; without a manifest nothing shows whether it was changed: /);
    assert.not.match(stdout, /unchanged/);
  }));

/** Backups that are whole, and of something else. */
const ELSEWHERE = {
  'another environment': { environment: 'staging' },
  'another database': { database: 'shop' },
  'another app': { app: 'shop' },
} as const;

/** To its end, and another database than the live one: test/long/integration/list.test.ts. */
test('a backup of something else replaces the live database only when that is asked for', () =>
  inTurn(async world => {
    const { manifest } = await localBackup(world);
    const other = join(world.directory, 'elsewhere');
    await mkdir(other);
    const paths: string[] = [];
    for (const changes of Object.values(ELSEWHERE)) {
      const planted = await plant(world.env.BACKUP_DIR!, manifest.id, { days: 1, ...changes }, other);
      const path = join(other, planted.artifact.name);
      const says = new RegExp(
        `this is a backup of database ${planted.database} of ${planted.app} \\(${planted.environment}\\)`,
      );
      await refused(() => restoreHere(world, path), 2, says, /--allow-foreign/);
      paths.push(path);
    }
    const allowed = { 'allow-foreign': true, 'dry-run': true };
    assert.is((await restoreHere(world, paths[0], allowed)).dryRun, true);
    assert.is((await restoreHere(world, paths[1], { 'dry-run': true })).dryRun, true);
  }));

test('the servers stop', stop);

test.run();
