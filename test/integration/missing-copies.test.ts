/** Backups that miss their off-site copy are found, said and sent. backup.ts itself, and kills: test/long/integration/. */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Manifest, manifestName, serialize } from '../../scripts/lib/backup/manifest.ts';
import { describeSent, LIMITS, sendMissing } from '../../scripts/lib/backup/send-missing.ts';
import { sign } from '../../scripts/lib/backup/signature.ts';
import { backupInS3 } from '../../scripts/lib/health/checks/backup.ts';
import { openStore } from '../../scripts/lib/s3/open-store.ts';
import { list } from '../../scripts/list-backups.ts';
import { configOf, lay } from '../support/backup/old-backups.ts';
import { ids } from '../support/backup/retention.ts';
import { here } from '../support/core/here.ts';
import { answers, type Seen } from '../support/s3/fault-proxy.ts';
import { isData } from '../support/s3/s3-world.ts';
import { fileOf } from '../support/s3/store.ts';
import { createStoreWorld } from '../support/s3/store-world.ts';

const { world, proxy, fresh: place, planted, isOffsite, stop } = await createStoreWorld();

type Env = Record<string, string>;

/** Backups of these ages in days that were meant to have a copy, and have none. */
const without = (env: Env, ages: number[], manifest: Partial<Manifest> = {}) =>
  planted(env, ages, { offsite: false, manifest: { offsite: true, ...manifest } });

/** What backup.ts does after the copy of its own backup. */
async function sendHere(env: Env, limits = LIMITS) {
  const config = configOf(world, env);
  const done = await here(world, env, async () => sendMissing(config, await openStore(config.s3!), limits));
  assert.is(done.code, 0, done.error);
  return { ...done.value!, stderr: done.stderr };
}

async function listHere(env: Env): Promise<{ text: string; missing: string[]; s3: Record<string, string> }> {
  const config = () => configOf(world, env);
  const done = await here(world, env, () => list.run({ options: {}, positionals: [], config }));
  assert.is(done.code, 0, done.error);
  const rows = done.value!.json as { id: string; missesCopy: boolean; s3: string }[];
  const missing = rows.filter(({ missesCopy }) => missesCopy).map(({ id }) => id);
  return { text: done.value!.text!, missing, s3: Object.fromEntries(rows.map(({ id, s3 }) => [id, s3])) };
}

const isArtifact = (seen: Seen) => isData(seen) && /\d\.sql\.gz$/.test(seen.key);
const sentInOrder = () => proxy.seen.filter(isArtifact).map(({ key }) => /[^/]+_\d{6}/.exec(key)![0]);

test('the oldest first, three a run; the next runs send the rest, and then none', async () => {
  const env = place();
  const oldest = ids(await without(env, [1, 2, 3, 4])).reverse();
  const first = await sendHere(env);
  assert.equal(sentInOrder(), oldest.slice(0, 3));
  assert.equal([first.sent, first.left, first.warnings], [oldest.slice(0, 3), 1, []]);
  assert.equal(describeSent(first), [
    `sent missing off-site copies: ${oldest.slice(0, 3).join(', ')}`,
    '1 earlier backup misses its off-site copy; the next runs of backup.ts try again',
  ]);
  assert.equal((await sendHere(env)).sent, oldest.slice(3));
  proxy.seen.length = 0;
  const last = await sendHere(env);
  assert.equal([last.sent, last.left, describeSent(last)], [[], 0, []]);
  assert.equal(sentInOrder(), [], 'what is there is not sent again');
  assert.equal(Object.values((await listHere(env)).s3), Array(4).fill('verified'));
});

test('only what is ours, wanted there, and not deleted there at once', async () => {
  const key = 'a'.repeat(64);
  const env = place({ S3_RETENTION_DAYS: '90', BACKUP_MIN_KEEP: '1', BACKUP_SIGNING_KEY: key });
  const sent = await without(env, [1, 80]);
  const others = [
    ...(await without(env, [200])),
    ...(await without(env, [2], { offsite: false })),
    ...(await without(env, [3], { offsite: undefined })),
    ...(await planted(env, [4], { offsite: false, database: 'else', manifest: { offsite: true } })),
    ...(await planted(env, [5], { offsite: false, environment: 'staging', manifest: { offsite: true } })),
  ];
  const unsigned = await without(env, [6]);
  for (const manifest of [...sent, ...others])
    writeFileSync(join(env.BACKUP_DIR!, manifestName(manifest.id)), sign(serialize(manifest), key));
  const foreign = await without(env, [7]);
  writeFileSync(
    join(env.BACKUP_DIR!, manifestName(foreign[0]!.id)),
    sign(serialize(foreign[0]!), 'b'.repeat(64)),
  );
  assert.equal((await listHere(env)).missing, ids(sent));
  const done = await sendHere(env);
  assert.equal(done.sent, ids(sent).reverse(), done.stderr);
  for (const each of [...others, ...unsigned, ...foreign]) assert.is(isOffsite(env, each), 0, each.id);
});

test('retention counts what is already there: an old one is not sent night after night', async () => {
  const env = place({ S3_RETENTION_DAYS: '90', BACKUP_MIN_KEEP: '2' });
  const [old] = await without(env, [200]);
  const [other] = await without(env, [0]);
  assert.equal((await listHere(env)).missing, [other!.id, old!.id], 'it is one of the newest two');
  await sendHere(env, { ...LIMITS, count: 1 });
  assert.is(isOffsite(env, old!), 3);
  const full = place({ S3_RETENTION_DAYS: '90', BACKUP_MIN_KEEP: '2' });
  for (const each of await planted(full, [1, 2])) assert.is(isOffsite(full, each), 3);
  await without(full, [200]);
  assert.equal((await sendHere(full)).sent, []);
});

test('one that always fails blocks no other: it is tried after them, and said', async () => {
  const env = place({ S3_RETENTION_DAYS: '90' });
  const [young, middle, refused, damaged] = (await without(env, [1, 2, 3, 4])) as [
    Manifest,
    Manifest,
    Manifest,
    Manifest,
  ];
  const path = join(env.BACKUP_DIR!, damaged.artifact.name);
  const content = readFileSync(path);
  content[10]! ^= 1;
  writeFileSync(path, content);
  proxy.fault = ({ key }) => (key.includes(refused.id) ? answers(500, 'InternalError') : undefined);
  const two = { ...LIMITS, count: 2 };
  const first = await sendHere(env, two);
  assert.equal([first.sent, first.left, first.offsiteFailed], [[], 4, true]);
  assert.match(
    first.warnings[0]!,
    new RegExp(`off-site copy of ${damaged.id} is still missing: .*has changed`),
  );
  assert.match(
    first.warnings[1]!,
    new RegExp(`off-site copy of ${refused.id} is still missing: .*InternalError`),
  );
  assert.is(isOffsite(env, damaged), 0, 'a damaged file gets no copy that looks verified');
  const second = await sendHere(env, two);
  assert.equal([second.sent, second.left], [[middle.id, young.id], 2]);
  proxy.fault = () => undefined;
  const third = await sendHere(env, two);
  assert.equal([third.sent, third.left, third.offsiteFailed], [[refused.id], 1, false]);
  const record = join(env.STATE_DIR!, 'production.failed-copies.json');
  assert.equal(Object.keys(JSON.parse(readFileSync(record, 'utf8'))), [damaged.id]);
  writeFileSync(record, '{"torn');
  assert.match((await sendHere(env, two)).stderr, /failed-copies\.json is damaged and is ignored/);
});

test('when the time is over no other is begun, but one is always tried', async () => {
  const env = place();
  const made = await without(env, [1, 2, 3]);
  assert.equal((await sendHere(env, { count: 3, seconds: 0 })).sent, ids(made.slice(2)));
});

test('a copy that is not whole is replaced; a whole one of someone else is not', async () => {
  const env = place();
  const all = (await without(env, [1, 2, 3, 4])) as [Manifest, Manifest, Manifest, Manifest];
  const [half, cut, torn, other] = all;
  const objectOf = (name: string) => fileOf(world, `${env.S3_PREFIX}/${name}`);
  for (const each of all) await lay(world, env, each);
  truncateSync(objectOf(cut.artifact.name), 5);
  truncateSync(objectOf(manifestName(torn.id)), 5);
  truncateSync(objectOf(manifestName(half.id)), 0);
  const others = serialize({ ...other, database: 'else' });
  writeFileSync(objectOf(manifestName(other.id)), others);
  assert.equal((await sendHere(env)).sent, ids([torn, cut, half]));
  const { s3, missing } = await listHere(env);
  assert.equal(missing, []);
  for (const { id } of [half, cut, torn]) assert.is(s3[id], 'verified');
  assert.is(readFileSync(objectOf(manifestName(other.id)), 'utf8'), others);
});

test('the health check and list-backups.ts say how many miss their copy', async () => {
  const env = place({ SCHEDULE_BACKUP: 'off', RPO_OBJECTIVE: '48h' });
  const health = () => backupInS3(configOf(world, env)).run();
  const [newest] = await without(env, [0]);
  await lay(world, env, newest!);
  const [cut] = await without(env, [1]);
  await lay(world, env, cut!);
  const well = await health();
  assert.is(well.status, 'ok', well.message);
  truncateSync(fileOf(world, `${env.S3_PREFIX}/${cut!.artifact.name}`), 5);
  await without(env, [2]);
  const now = await health();
  assert.is(now.status, 'warning');
  assert.match(now.message, /^the newest has the data of .*; 2 earlier backups miss their off-site copy$/);
  assert.match(now.hint!, /logs\/backup\.log/);
  assert.match(
    (await listHere(env)).text,
    /3 backups; 2 earlier backups miss their off-site copy, which backup\.ts sends$/,
  );
  await sendHere(env);
  assert.is((await health()).status, 'ok');
  await without(env, [-0.01]);
  assert.is((await health()).status, 'ok', 'the newest may be on its way');
});

test('the servers stop', stop);

test.run();
