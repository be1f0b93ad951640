/** A run that is killed while it sends a missing off-site copy, and one that starts meanwhile. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Manifest } from '../../../scripts/lib/backup/manifest.ts';
import { createRetentionWorld, ids } from '../../support/backup/retention.ts';
import { until } from '../../support/core/world.ts';
import { hangs, type Seen } from '../../support/s3/fault-proxy.ts';
import { isData, keysOf } from '../../support/s3/s3-world.ts';

const { world, proxy, fresh, planted, isOffsite, backup, stop } = await createRetentionWorld();

/** Which file of the copy does not arrive. */
const MOMENTS: Record<string, (manifest: Manifest) => string> = {
  'its artifact': ({ artifact }) => artifact.name,
  'its roles': ({ globals }) => globals.name,
  'its manifest': ({ id }) => `${id}.json`,
};

for (const [what, nameOf] of Object.entries(MOMENTS))
  test(`killed while ${what} is sent: nothing looks like a copy, and the next run sends it`, async () => {
    const env = fresh();
    const wanted = { offsite: false, manifest: { offsite: true } };
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

test('the servers stop', stop);

test.run();
