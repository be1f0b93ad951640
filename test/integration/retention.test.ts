/** Which backups retention deletes, and what holds it. prune-backups.ts and list-backups.ts: prune-backups.test.ts. */
import { existsSync, mkdirSync, readdirSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { localBackups, storedBackups } from '../../scripts/lib/backup/catalog.ts';
import { findSource } from '../../scripts/lib/backup/find.ts';
import { type Manifest, manifestName } from '../../scripts/lib/backup/manifest.ts';
import { openStore } from '../../scripts/lib/s3/open-store.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { createRetentionWorld, FAILED_DUMPS, ids, writeDumpProgram } from '../support/backup/retention.ts';
import { backUpHere, here } from '../support/core/here.ts';
import { keysOf } from '../support/s3/s3-world.ts';
import { fileOf } from '../support/s3/store.ts';

const { world, fresh, planted, isHere, isOffsite, pruneHere, kept, retainHere, stop } =
  await createRetentionWorld();

test('each place keeps its own days; nothing that is not a whole backup of ours is touched', async () => {
  const env = fresh({ BACKUP_MIN_KEEP: '2' });
  const recent = await planted(env, [1, 2, 3, 10, 20, 29]);
  const middle = await planted(env, [31, 40, 89]);
  const old = await planted(env, [91]);
  const [half] = await planted(env, [12]); // of a copy that was killed
  unlinkSync(fileOf(world, `${env.S3_PREFIX}/${manifestName(half!.id)}`));
  const others = await planted(env, [300], { database: 'else' });
  const foreign = ['README', 'neurmatic_20200101.sql.gz', 'neurmatic_production_20200101_000000.sql.gz'];
  foreign.push('neurmatic_production_20200101_000000_copy.sql.gz', 'other_production_20200101_000000.json');
  for (const name of foreign) {
    writeFileSync(join(env.BACKUP_DIR!, name), 'foreign');
    await put(env, name);
  }
  mkdirSync(join(env.BACKUP_DIR!, 'neurmatic_production_20200101_000001'));
  const [noManifest, damaged, cut] = (await planted(env, [200, 201, 202])) as [Manifest, Manifest, Manifest];
  for (const path of [
    (name: string) => join(env.BACKUP_DIR!, name),
    (name: string) => fileOf(world, `${env.S3_PREFIX}/${name}`),
  ]) {
    truncateSync(path(manifestName(damaged.id)), 50);
    truncateSync(path(cut.artifact.name), 50);
    unlinkSync(path(manifestName(noManifest.id)));
  }
  const { made, stderr } = await retainHere(env);
  assert.equal(kept(env, [half!]), { here: ids([half!]), offsite: [] });
  assert.equal(kept(env, others), { here: ids(others), offsite: ids(others) });
  assert.equal(kept(env, [made, ...recent, ...middle, ...old]), {
    here: ids([made, ...recent]),
    offsite: ids([made, ...recent, ...middle]),
  });
  for (const [broken, files] of [
    [noManifest, 2],
    [damaged, 3],
    [cut, 3],
  ] as const) {
    assert.is(isHere(env, broken), files);
    assert.is(isOffsite(env, broken), files);
  }
  for (const name of foreign) {
    assert.ok(existsSync(join(env.BACKUP_DIR!, name)), name);
    assert.ok(keysOf(world, env).includes(`${env.S3_PREFIX}/${name}`), name);
  }
  assert.match(stderr, /retention \(local\): 8 backups kept, 4 deleted/);
  assert.match(stderr, /retention \(s3\): 10 backups kept, 1 deleted/);
});

/** Puts a small object into the store, as another program does. */
async function put(env: Record<string, string>, name: string): Promise<void> {
  const path = fileOf(world, `${env.S3_PREFIX}/${name}`);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, 'foreign');
  writeFileSync(path.replace(/_object$/, '_metadata.json'), '{}');
}

test('app and app_staging, production and staging: in one directory and under one prefix, each its own', async () => {
  const shared = fresh({ BACKUP_MIN_KEEP: '1', POSTGRES_DB: 'app' });
  const owners = {
    app: { APP_NAME: 'app' },
    'app_staging of production': { APP_NAME: 'app_staging' },
    'app of staging': { APP_NAME: 'app', DEPLOY_ENV: 'staging' },
  };
  const backups: Record<string, Manifest[]> = {};
  for (const [owner, own] of Object.entries(owners)) {
    const environment = owner.endsWith('of staging') ? 'staging' : 'production';
    backups[owner] = await planted({ ...shared, ...own }, [1, 2, 400], { app: own.APP_NAME, environment });
  }
  const all = Object.values(backups).flat();
  let expected = ids(all);
  for (const [owner, own] of Object.entries(owners)) {
    const env = { ...shared, ...own };
    const config = configOf(world, env);
    for (const found of [
      await localBackups(config),
      await storedBackups(config, await openStore(config.s3!)),
    ])
      assert.equal(
        found.map(({ id }) => id),
        ids(backups[owner]!),
      );
    await retainHere(env);
    expected = expected.filter(id => id !== backups[owner]![2]!.id);
    assert.equal(kept(env, all), { here: expected, offsite: expected }, owner);
  }
  const env = { ...shared, ...owners.app };
  const find = (id: string) => here(world, env, () => findSource(configOf(world, env), id, undefined));
  assert.is(
    (await find(backups['app of staging']![0]!.id)).code,
    3,
    'an id of another environment is not found',
  );
  assert.is((await find(backups.app![0]!.id)).code, 0);
});

// Seven of them, as processes: test/long/integration/retention.test.ts.
test('a failed run costs no good backup, whether pg_dump fails or only stops', async () => {
  const env = fresh({ BACKUP_MIN_KEEP: '1', BACKUP_RETENTION_DAYS: '1', S3_RETENTION_DAYS: '1' });
  const good = await planted(env, [1, 5, 9]);
  const programs = join(world.directory, 'failing');
  for (const [script, code] of FAILED_DUMPS) {
    writeDumpProgram(programs, script);
    const done = await backUpHere(world, { ...env, PATH: `${programs}:${world.env.PATH}` });
    assert.is(done.code, code, done.stderr + done.error);
    assert.equal(kept(env, good), { here: ids(good), offsite: ids(good) });
    assert.is(readdirSync(env.BACKUP_DIR!).length, 9, 'nothing is left of a failed run');
  }
});

test('after a long pause, or when the clock has jumped ahead, nothing is deleted and it is said', async () => {
  const env = fresh({ BACKUP_MIN_KEEP: '2' });
  const before = await planted(env, [3650, 3651, 3652, 3653, 3654, 3655]);
  const { warnings, stderr } = await retainHere(env);
  assert.equal(kept(env, before), { here: ids(before), offsite: ids(before) });
  for (const place of ['local', 's3'])
    assert.match(
      stderr,
      new RegExp(`nothing was deleted: ${place}: it would delete 5 of 7 backups.*prune-backups.ts --dry-run`),
    );
  assert.is(warnings.length, 2);
});

test('a backup dated in the future is neither the latest nor a reason to delete', async () => {
  const env = fresh({ BACKUP_MIN_KEEP: '1' });
  const present = await planted(env, [1, 2, 3]);
  const [future] = await planted(env, [-3650]);
  const { made } = await retainHere(env);
  const all = [...present, future!];
  const edge = Date.parse(present[0]!.snapshotAt) - 86_400_000; // it is a day ahead, and a millisecond more
  for (const [now, counts] of [
    [edge, true],
    [edge - 1, false],
  ] as const) {
    const found = await localBackups(configOf(world, env), now);
    const { problem } = found.find(({ id }) => id === present[0]!.id)!;
    assert.is(problem === undefined, counts, problem);
  }
  assert.equal(kept(env, all), { here: ids(all), offsite: ids(all) });
  const latest = await here(world, env, () => findSource(configOf(world, env), 'latest', undefined));
  assert.is(latest.code, 0, latest.error);
  assert.is(latest.value!.name, made.id);
  assert.match(latest.stderr, new RegExp(`${future!.id} is newer, but is ignored.*in the future`));
});

test('age counts from the newest: old backups alone all stay, and the newest always does', async () => {
  const env = fresh({ BACKUP_MIN_KEEP: '1' });
  const close = await planted(env, [400, 410, 420]);
  await pruneHere(env);
  assert.equal(kept(env, close), { here: ids(close), offsite: ids(close) });
  const strewn = await planted(env, [600, 700, 800]);
  await pruneHere(env);
  assert.equal(kept(env, [...close, ...strewn]), { here: ids(close), offsite: ids(close) });
});

// In size: test/backup/retention.test.ts has what counts as one, and the long suite has it from end to end.
test('a collapse in rows holds retention', async () => {
  const env = fresh({ BACKUP_MIN_KEEP: '1' });
  const all = await planted(env, [2, 3, 400]);
  const { tables } = all[0]!;
  const [whole] = await planted(env, [1], {
    manifest: { tables: [...tables, { schema: 'public', name: 'extra', rows: 5000 }] },
  });
  const done = await backUpHere(world, env);
  assert.is(done.code, 0, done.stderr);
  assert.match(done.stderr, /half of the previous one: 1,000 rows after 6,000 in neurmatic/);
  assert.match(done.warnings[0]!, /nothing was deleted/);
  assert.equal(kept(env, all), { here: ids(all), offsite: ids(all) });
  await pruneHere(env);
  assert.equal(kept(env, [...all, whole!]).here, ids([...all.slice(0, 2), whole!]), 'else it is deleted');
});

test('the servers stop', stop);

test.run();
