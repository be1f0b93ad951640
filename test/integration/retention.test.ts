import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  truncateSync,
  unlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { localBackups, newestFirst, storedBackups } from '../../scripts/lib/backup/catalog.ts';
import { findSource } from '../../scripts/lib/backup/find.ts';
import { artifactName, globalsName, type Manifest, manifestName } from '../../scripts/lib/backup/manifest.ts';
import { applyRetention, planRetention, retain } from '../../scripts/lib/backup/prune.ts';
import { openStore } from '../../scripts/lib/s3/open-store.ts';
import { list } from '../../scripts/list-backups.ts';
import { type Changes, configOf, lay, manifestOf, plant } from '../support/backup/old-backups.ts';
import { backUpHere, here } from '../support/core/here.ts';
import { startOnTerminal } from '../support/core/terminal.ts';
import { until } from '../support/core/world.ts';
import { answers, hangs } from '../support/s3/fault-proxy.ts';
import { createS3World, idOf, keysOf } from '../support/s3/s3-world.ts';
import { fileOf } from '../support/s3/store.ts';

const { world, proxy, fresh, backup, stop } = await createS3World();

/** One real backup, of which all others are made. */
const seed = await (async () => {
  const env = fresh();
  const { manifest, stderr } = await backUpHere(world, env, { upload: false });
  if (!manifest) throw new Error(stderr);
  return { directory: env.BACKUP_DIR!, id: manifest.id };
})();

/** Puts backups of these ages into a test's directory and, unless told otherwise, into its store. */
async function planted(
  env: Record<string, string>,
  ages: number[],
  { offsite = true, ...changes }: Changes & { offsite?: boolean } = {},
): Promise<Manifest[]> {
  const made: Manifest[] = [];
  for (const days of ages) {
    const manifest = await plant(seed.directory, seed.id, { ...changes, days }, env.BACKUP_DIR);
    if (offsite) await lay(world, env, manifest);
    made.push(manifest);
  }
  proxy.seen.length = 0;
  return made;
}

const filesOf = ({ id, format }: Manifest) => [artifactName(id, format), globalsName(id), manifestName(id)];
const isHere = (env: Record<string, string>, manifest: Manifest) =>
  filesOf(manifest).filter(name => existsSync(join(env.BACKUP_DIR!, name))).length;
const isOffsite = (env: Record<string, string>, manifest: Manifest, keys = keysOf(world, env)) =>
  filesOf(manifest).filter(name => keys.includes(`${env.S3_PREFIX}/${name}`)).length;
const prune = (env: Record<string, string>, ...args: string[]) => world.run('prune-backups', args, env);

/** What prune-backups.ts --yes does, in this process. */
async function pruneHere(env: Record<string, string>): Promise<void> {
  const config = configOf(world, env);
  const { code, error } = await here(world, env, async () => {
    for (const plan of await planRetention(config, await openStore(config.s3!)))
      await applyRetention(config, plan);
  });
  assert.is(code, 0, error);
}

interface Row {
  id: string;
  snapshotAt: string;
  bytes: number;
  local: string;
  s3: string;
}

/** What list-backups.ts finds, in this process: as JSON, and as a table. */
async function listHere(env: Record<string, string>): Promise<{ rows: Row[]; text: string }> {
  const config = () => configOf(world, env);
  const done = await here(world, env, () => list.run({ options: {}, positionals: [], config }));
  assert.is(done.code, 0, done.error);
  return { rows: done.value!.json as Row[], text: done.value!.text! };
}

/** Which of these have all their files, in both places; a half-deleted one is an error. */
function kept(env: Record<string, string>, manifests: Manifest[]) {
  const whole = (count: number, id: string) => {
    assert.ok(count === 0 || count === 3, `${count} files of ${id}`);
    return count === 3;
  };
  const keys = keysOf(world, env);
  return {
    here: manifests.filter(each => whole(isHere(env, each), each.id)).map(({ id }) => id),
    offsite: manifests.filter(each => whole(isOffsite(env, each, keys), each.id)).map(({ id }) => id),
  };
}

/** What retention does after a backup that succeeds, of which the files are planted in the place of a dump. */
async function retainHere(env: Record<string, string>) {
  const config = configOf(world, env);
  const { app, environment } = config;
  const done = await here(world, env, async () => {
    const [previous] = newestFirst(await localBackups(config));
    const [made] = await planted(env, [0], { app, environment });
    const warnings = await retain(config, await openStore(config.s3!), made!, previous?.manifest, undefined);
    return { made: made!, warnings };
  });
  assert.is(done.code, 0, done.error);
  return { ...done.value!, stderr: done.stderr };
}

const ids = (manifests: Manifest[]) => manifests.map(({ id }) => id);

test('each place keeps its own days; nothing that is not a whole backup of ours is touched', async () => {
  const env = fresh({ BACKUP_MIN_KEEP: '2' });
  const recent = await planted(env, [1, 2, 3, 10, 20, 29]);
  const middle = await planted(env, [31, 40, 89]);
  const old = await planted(env, [91]);
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
  const done = await backup(env, '--json');
  assert.is(done.code, 0, done.stderr);
  const made = await manifestOf(env.BACKUP_DIR!, idOf(done));
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
  assert.match(done.stderr, /retention \(local\): 7 backups kept, 4 deleted/);
  assert.match(done.stderr, /retention \(s3\): 10 backups kept, 1 deleted/);
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
  mkdirSync(programs);
  const fail = (script: string) => {
    writeFileSync(join(programs, 'pg_dump'), `#!/bin/sh\n${script}\n`);
    chmodSync(join(programs, 'pg_dump'), 0o755);
  };
  const version = 'case "$*" in *--version*) echo "pg_dump (PostgreSQL) 15.0"; exit;; esac';
  const failures: [script: string, code: number][] = [
    [`${version}; echo "CREATE TABLE half (" ; echo "pg_dump: error: it broke" >&2; exit 1`, 1],
    [`${version}; echo "CREATE TABLE half ("; exit 0`, 3],
  ];
  for (const [script, code] of failures) {
    fail(script);
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

// In size: test/retention.test.ts has what counts as one, and the long suite has it from end to end.
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

test('the manifest goes before what it is about: a kill between leaves no manifest without data', async () => {
  const env = fresh({ BACKUP_MIN_KEEP: '1' });
  const [, old] = (await planted(env, [1, 400])) as [Manifest, Manifest];
  const gone: string[] = [];
  const watcher = watch(env.BACKUP_DIR!, (_, name) => {
    if (name?.startsWith(old.id)) gone.push(name);
  });
  proxy.fault = ({ method, key }) =>
    method === 'DELETE' && key.endsWith(globalsName(old.id)) ? hangs() : undefined;
  try {
    const run = world.start('prune-backups', ['--yes'], env);
    await until('the manifest is deleted and the data is not yet', () => isOffsite(env, old) === 2);
    run.child.kill('SIGKILL');
    await run.ended;
    await until('all deletions here were seen', () => gone.length === 3);
  } finally {
    watcher.close();
  }
  assert.equal(gone, [manifestName(old.id), globalsName(old.id), artifactName(old.id, old.format)]);
  assert.not.ok(keysOf(world, env).some(key => key.endsWith(manifestName(old.id))));
  proxy.fault = () => undefined;
  const { rows } = await listHere(env);
  assert.is(rows.find(({ id }) => id === old.id)!.s3, 'no manifest');
});

test('a store that refuses to delete: the backup counts, and it is said; prune-backups.ts fails', async () => {
  const env = fresh({ BACKUP_MIN_KEEP: '1', BACKUP_RETENTION_DAYS: '1000' });
  const all = await planted(env, [1, 2, 3, 400]);
  proxy.fault = ({ method, key }) =>
    method === 'DELETE' && !key.endsWith('.write-probe') ? answers(403, 'AccessDenied') : undefined;
  const done = await backUpHere(world, env);
  assert.is(done.code, 0, done.stderr);
  assert.match(done.warnings[0]!, /retention did not finish: could not delete s3:.*AccessDenied/);
  assert.equal(kept(env, all), { here: ids(all), offsite: ids(all) });
  const pruned = await prune(env, '--yes');
  assert.is(pruned.code, 4, pruned.stderr);
  assert.match(pruned.stderr, /could not delete s3:.*\n.*AWS_ACCESS_KEY_ID/);
});

/** prune-backups.ts on a terminal, with an answer typed. */
async function typing(
  answer: string,
  env: Record<string, string>,
): Promise<{ code: number | null; shown: string }> {
  const terminal = startOnTerminal(world, 'prune-backups', [], env);
  await terminal.shows(/ to go on: /);
  terminal.type(`${answer}\r`);
  return { code: await terminal.ended, shown: terminal.shown() };
}

test('prune-backups.ts: shows, asks, deletes what it showed', async () => {
  const env = fresh({ BACKUP_MIN_KEEP: '2' });
  const staying = await planted(env, [1, 2]);
  const going = await planted(env, [200, 300, 400]);
  const all = [...staying, ...going];
  const shown = await prune(env, '--dry-run', '--json');
  assert.is(shown.code, 0, shown.stderr);
  const decisions: { id: string; place: string; keep: boolean; reason: string; deleted: boolean }[] =
    JSON.parse(shown.stdout);
  assert.is(decisions.length, 10);
  assert.not.ok(decisions.some(({ deleted }) => deleted));
  for (const place of ['local', 's3']) {
    const goes = decisions.filter(each => each.place === place && !each.keep);
    assert.equal(ids(goes as unknown as Manifest[]), ids(going));
    assert.match(goes[0]!.reason, /199\.0 days older than the newest, over (30|90)/);
  }
  const unasked = await prune(env);
  assert.is(unasked.code, 2);
  assert.match(unasked.stderr, new RegExp(`delete +S3 +${going[0]!.id} +199\\.0 days older`));
  assert.match(unasked.stderr, /^6 backups to delete$/m);
  assert.match(unasked.stderr, /no terminal.*\n.*--yes/);
  assert.equal(kept(env, all), { here: ids(all), offsite: ids(all) });
  const declined = await typing('staging', env);
  assert.is(declined.code, 2, declined.shown);
  assert.match(declined.shown, new RegExp(`delete +local +${going[0]!.id}`), 'it shows what it asks about');
  assert.match(declined.shown, /Type .*production.* to go on/);
  assert.match(declined.shown, /not confirmed; nothing was changed/);
  assert.equal(kept(env, all), { here: ids(all), offsite: ids(all) });
  const done = await prune(env, '--yes', '--json');
  assert.is(done.code, 0, done.stderr);
  assert.equal(
    JSON.parse(done.stdout).filter(({ deleted }: { deleted: boolean }) => deleted).length,
    going.length * 2,
  );
  assert.equal(kept(env, all), { here: ids(staying), offsite: ids(staying) });
  const late = await planted(env, [500]);
  const typed = await typing('production', env);
  assert.is(typed.code, 0, typed.shown);
  assert.match(typed.shown, /from here on, things change/);
  assert.equal(kept(env, [...staying, ...late]), { here: ids(staying), offsite: ids(staying) });
  const again = await prune(env);
  assert.is(again.code, 0, 'with nothing to delete there is nothing to ask');
  assert.match(again.stdout, new RegExp(`keep +local +${staying[0]!.id} +the newest`));
  assert.match(again.stdout, /^0 backups to delete$/m);
});

test('list-backups.ts shows what is here and in S3 side by side, broken ones too', async () => {
  const env = fresh();
  const made = await planted(env, [1, 2, 3, 4, 5, 6]);
  const [both, here, there, cut, damaged, bare] = made as [
    Manifest,
    Manifest,
    Manifest,
    Manifest,
    Manifest,
    Manifest,
  ];
  const [other] = await planted(env, [7], { database: 'else', offsite: false });
  for (const name of filesOf(here)) unlinkSync(fileOf(world, `${env.S3_PREFIX}/${name}`));
  for (const name of filesOf(there)) unlinkSync(join(env.BACKUP_DIR!, name));
  truncateSync(join(env.BACKUP_DIR!, cut.artifact.name), 10);
  truncateSync(fileOf(world, `${env.S3_PREFIX}/${manifestName(damaged.id)}`), 10);
  unlinkSync(join(env.BACKUP_DIR!, manifestName(bare.id)));
  const { rows, text } = await listHere(env);
  assert.equal(
    rows.map(({ id }) => id),
    ids([...made, other!]),
    'newest first',
  );
  const expected: [Manifest, RegExp, RegExp][] = [
    [both, /^verified$/, /^verified$/],
    [here, /^verified$/, /^-$/],
    [there, /^-$/, /^verified$/],
    [cut, /is truncated: 10 of \d+ bytes/, /^verified$/],
    [damaged, /^verified$/, /damaged/],
    [bare, /^no manifest$/, /^verified$/],
    [other!, /^of another database, else$/, /^-$/],
  ];
  for (const [{ id, snapshotAt }, local, s3] of expected) {
    const row = rows.find(each => each.id === id)!;
    assert.match(row.local, local);
    assert.match(row.s3, s3);
    assert.is(row.snapshotAt, snapshotAt);
    assert.ok(row.bytes > 0);
  }
  assert.match(text, /^id +data of +age +size +rows +format +local +S3 +read +loaded +label\n/);
  assert.match(text, new RegExp(`${both.id} .*UTC +1 d.* 1,000 +plain +verified +verified`));
  assert.match(text, /7 backups$/);
  proxy.fault = () => answers(500, 'InternalError');
  const blind = await world.run('list-backups', [], env);
  assert.is(blind.code, 4, 'half a list would look like a whole one');
});

test('the servers stop', stop);

test.run();
