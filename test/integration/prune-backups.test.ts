/** prune-backups.ts and list-backups.ts, with old backups here and in S3. */
import { truncateSync, unlinkSync, watch } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { artifactName, globalsName, type Manifest, manifestName } from '../../scripts/lib/backup/manifest.ts';
import type { Result } from '../../scripts/lib/cli/command.ts';
import { list } from '../../scripts/list-backups.ts';
import { prune as pruneBackups } from '../../scripts/prune-backups.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { createRetentionWorld, filesOf, ids } from '../support/backup/retention.ts';
import { assertTrouble, isDeletion } from '../support/backup/retention-troubles.ts';
import { runHere } from '../support/cli/commands.ts';
import { here } from '../support/core/here.ts';
import { startOnTerminal } from '../support/core/terminal.ts';
import { until } from '../support/core/world.ts';
import { answers, hangs } from '../support/s3/fault-proxy.ts';
import { keysOf } from '../support/s3/s3-world.ts';
import { fileOf } from '../support/s3/store.ts';

const retention = await createRetentionWorld();
const { world, proxy, fresh, planted, isOffsite, kept, stop } = retention;
const prune = (env: Record<string, string>, ...args: string[]) => world.run('prune-backups', args, env);

/** What prune-backups.ts does with these arguments, in this process. */
async function pruneHere(env: Record<string, string>, ...args: string[]): Promise<Result> {
  const done = await here(world, env, () => runHere(pruneBackups, args, configOf(world, env)));
  assert.is(done.code, 0, done.error);
  assert.ok(!done.value!.exitCode, done.value!.text);
  return done.value!;
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

/** More of them: test/long/integration/prune-backups.test.ts. */
for (const what of ['it refuses to delete', 'it can’t list'] as const)
  test(`the store has trouble with retention: ${what}`, () => assertTrouble(retention, what));

test('prune-backups.ts deletes here what expired here, and fails for a store that refuses', async () => {
  const env = fresh({ BACKUP_MIN_KEEP: '1' });
  const all = await planted(env, [1, 400]);
  proxy.fault = seen => (isDeletion(seen) ? answers(403, 'AccessDenied') : undefined);
  const pruned = await prune(env, '--yes', '--json');
  assert.is(pruned.code, 4, pruned.stderr);
  assert.match(pruned.stderr, /could not delete s3:.*\n.*AWS_ACCESS_KEY_ID/);
  const rows: { place: string; deleted: boolean }[] = JSON.parse(pruned.stdout);
  assert.equal(
    rows.filter(({ deleted }) => deleted).map(({ place }) => place),
    ['local'],
  );
  assert.equal(kept(env, all), { here: ids(all.slice(0, 1)), offsite: ids(all) });
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
  const shown = await pruneHere(env, '--dry-run');
  const decisions = shown.json as {
    id: string;
    place: string;
    keep: boolean;
    reason: string;
    deleted: boolean;
  }[];
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
  const again = await pruneHere(env); // with nothing to delete there is nothing to ask
  assert.match(again.text!, new RegExp(`keep +local +${staying[0]!.id} +the newest`));
  assert.match(again.text!, /^0 backups to delete$/m);
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
  proxy.fault = () => answers(403, 'AccessDenied');
  const blind = await world.run('list-backups', [], env);
  assert.is(blind.code, 4, 'half a list would look like a whole one');
});

test('the servers stop', stop);

test.run();
