/** A run that is killed while it sends a missing off-site copy, one that starts meanwhile, and those that send none. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Manifest } from '../../../scripts/lib/backup/manifest.ts';
import { dryRun } from '../../../scripts/lib/backup/run-backup.ts';
import { configOf } from '../../support/backup/old-backups.ts';
import { createRetentionWorld, ids } from '../../support/backup/retention.ts';
import { backUpHere, here } from '../../support/core/here.ts';
import { until } from '../../support/core/world.ts';
import { answers, hangs, type Seen } from '../../support/s3/fault-proxy.ts';
import { isData, keysOf } from '../../support/s3/s3-world.ts';

const { world, proxy, fresh, planted, isOffsite, backup, stop } = await createRetentionWorld();

/** A backup without its copy. */
const wanted = { offsite: false, manifest: { offsite: true } };

const isArtifact = (seen: Seen) => isData(seen) && /\d\.sql\.gz$/.test(seen.key);

/** Which file of the copy does not arrive. */
const MOMENTS: Record<string, (manifest: Manifest) => string> = {
  'its artifact': ({ artifact }) => artifact.name,
  'its roles': ({ globals }) => globals.name,
  'its manifest': ({ id }) => `${id}.json`,
};

for (const [what, nameOf] of Object.entries(MOMENTS))
  test(`killed while ${what} is sent: nothing looks like a copy, and the next run sends it`, async () => {
    const env = fresh();
    const [young, old] = (await planted(env, [1, 2], wanted)) as [Manifest, Manifest];
    const isIt = (seen: Seen) => isData(seen) && seen.key.endsWith(nameOf(young));
    proxy.fault = seen => (isIt(seen) ? hangs() : undefined);
    const run = world.start('backup', ['--json'], env);
    await until('the second copy is on its way', () => proxy.seen.some(isIt), 60);
    const other = await backup(env);
    assert.is(other.code, 75, other.stderr);
    run.child.kill('SIGKILL');
    await run.ended;
    const rows = async (): Promise<{ id: string; s3: string; missesCopy: boolean }[]> =>
      JSON.parse((await world.run('list-backups', ['--json'], env)).stdout);
    const found = (await rows()).find(({ id }) => id === young.id)!;
    assert.match(found.s3, /^(-|no manifest)$/);
    assert.ok(found.missesCopy);
    assert.is(isOffsite(env, old), 3);
    proxy.fault = () => undefined;
    const next = await backup(env, '--json');
    assert.is(next.code, 0, next.stderr);
    assert.equal(JSON.parse(next.stdout).sent, ids([young]));
    const all = await rows();
    assert.is(all.length, 4);
    assert.ok(all.every(({ s3, missesCopy }) => s3 === 'verified' && !missesCopy));
    assert.is(keysOf(world, env).length, 12);
  });

test('a store that was away: the dry run says so; tonight’s copy comes first, then the oldest', async () => {
  const env = fresh();
  const oldest = ids(await planted(env, [1, 2, 3, 4], wanted)).reverse();
  const looked = await here(world, env, () => dryRun(configOf(world, env), 'plain'));
  assert.match(looked.value!.text, `4 earlier backups miss their off-site copy: ${oldest.join(', ')}`);
  assert.equal(keysOf(world, env), []);
  proxy.seen.length = 0;
  const first = await backUpHere(world, env, { sendMissing: true });
  assert.is(first.code, 0, first.stderr + first.error);
  const sent = proxy.seen.filter(isArtifact).map(({ key }) => /[^/]+_\d{6}/.exec(key)![0]);
  assert.equal(sent, [first.manifest!.id, ...oldest.slice(0, 3)]);
  assert.match(first.text, `sent missing off-site copies: ${oldest.slice(0, 3).join(', ')}\n`);
  assert.match(first.text, '1 earlier backup misses its off-site copy; the next runs of backup.ts try again');
});

test('a run without a copy, or whose copy fails, sends no other; nor does a deployment', async () => {
  const env = fresh();
  await planted(env, [1], wanted);
  await backUpHere(world, env, { upload: false, sendMissing: true });
  await backUpHere(world, env);
  assert.is(keysOf(world, env).length, 3);
  await backUpHere(world, env, { sendMissing: true });
  assert.is(keysOf(world, env).length, 9, 'its own and the one that was missing, not that of --no-upload');
  const away = fresh({ S3_RETRY_TIME: '1s' });
  await planted(away, [1], wanted);
  proxy.fault = seen => (isData(seen) ? answers(500, 'InternalError') : undefined);
  const done = await backUpHere(world, away, { sendMissing: true });
  assert.is(done.code, 4);
  const artifacts = proxy.seen.filter(isArtifact);
  assert.is(new Set(artifacts.map(({ key }) => key)).size, 1, 'only its own is tried');
  proxy.fault = () => undefined;
  await backUpHere(world, away, { sendMissing: true });
  assert.is(keysOf(world, away).length, 9, 'a backup whose copy failed is sent by the next run');
});

test('the servers stop', stop);

test.run();
