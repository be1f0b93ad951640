import { readdirSync } from 'node:fs';
import * as assert from 'uvu/assert';
import type { Fault, Seen } from './fault-proxy.ts';
import { checkHere, makeBackup } from './in-process.ts';
import { assertNoSecrets } from './live.ts';
import { plant, store } from './old-backups.ts';
import { idOf, PASSWORD, type S3World } from './s3-world.ts';
import { keys } from './store.ts';

/** What makes every upload fail, and what backup.ts says of it. */
export interface Lasting {
  fault?: (seen: Seen) => Fault | undefined;
  env?: Record<string, string>;
  says: RegExp;
}

/** Two good backups, of which retention would delete the old one, were it not held. */
export async function createGood({ world, proxy, fresh, backup }: S3World) {
  const good = fresh();
  const recent = await makeBackup(world, {}, good);
  const old = await plant(good.BACKUP_DIR!, recent.id, { days: 400 });
  await store(world, good, old);

  /** Asserts that a backup with this failure stays here, says so, and that nothing is deleted for it. */
  async function fails({ fault, env: extra, says }: Lasting): Promise<void> {
    const env: Record<string, string> = { ...fresh(), ...good, ...extra, BACKUP_MIN_KEEP: '1' };
    const before = keys(world);
    if (fault) proxy.fault = fault;
    const done = await backup(env, '--json');
    assert.is(done.code, 4, done.stderr);
    assert.match(done.stderr, says);
    assert.match(done.stderr, /nothing was deleted: the newest backup is not off-site/);
    assert.is(JSON.parse(done.stdout).offsite, 'FAILED');
    assert.equal(keys(world), before, 'the store is as it was');
    const names = readdirSync(env.BACKUP_DIR!);
    for (const id of [old.id, recent.id, idOf(done)]) {
      for (const end of ['.sql.gz', '.globals.sql.gz', '.json'])
        assert.ok(names.includes(id + end), id + end);
    }
    assert.is(await checkHere(world, idOf(done), env, 'local'), idOf(done));
    assertNoSecrets(done, env, [PASSWORD, 'S3RVER']);
  }

  return { good, old, fails };
}
