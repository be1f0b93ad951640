import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { Manifest } from '../../../scripts/lib/backup/manifest.ts';
import { plant, store } from '../backup/old-backups.ts';
import { backUpHere } from '../core/here.ts';
import { checkHere, makeBackup } from '../core/in-process.ts';
import { assertNoSecrets } from '../postgres/live.ts';
import type { Fault, Seen } from './fault-proxy.ts';
import { idOf, keysOf, PASSWORD, type S3World, sha256 } from './s3-world.ts';
import { fileOf } from './store.ts';

/** What makes every upload fail, and what backup.ts says of it. */
export interface Lasting {
  fault?: (seen: Seen) => Fault | undefined;
  env?: Record<string, string>;
  says: RegExp;
  /** Default: in this process. */
  asProcess?: boolean;
}

/** What troubles a store for a while. */
export type Passing = Record<string, () => (seen: Seen) => Fault | undefined>;

const SECRETS = [PASSWORD, 'S3RVER'];

/** Two good backups, of which retention would delete the old one, were it not held. */
export async function createGood({ world, proxy, fresh, backup }: S3World) {
  const good = fresh();
  const recent = await makeBackup(world, {}, good);
  const old = await plant(good.BACKUP_DIR!, recent.id, { days: 400 });
  await store(world, good, old);

  /** Asserts that a backup with this failure stays here, says so, and that nothing is deleted for it. */
  async function fails({ fault, env: extra, says, asProcess = false }: Lasting): Promise<void> {
    const env: Record<string, string> = { ...fresh(), ...good, ...extra, BACKUP_MIN_KEEP: '1' };
    const before = keysOf(world, env);
    if (fault) proxy.fault = fault;
    const { id, stderr } = asProcess ? await failingProcess(env) : await failingHere(env);
    assert.match(stderr, says);
    assert.match(stderr, /nothing was deleted: the newest backup is not off-site/);
    assert.equal(keysOf(world, env), before, 'the store is as it was');
    const names = readdirSync(env.BACKUP_DIR!);
    for (const each of [old.id, recent.id, id]) {
      for (const end of ['.sql.gz', '.globals.sql.gz', '.json'])
        assert.ok(names.includes(each + end), each + end);
    }
    assert.is(await checkHere(world, id, env, 'local'), id);
  }

  async function failingProcess(env: Record<string, string>) {
    const done = await backup(env, '--json');
    assert.is(done.code, 4, done.stderr);
    assert.is(JSON.parse(done.stdout).offsite, 'FAILED');
    assertNoSecrets(done, env, SECRETS);
    return { id: idOf(done), stderr: done.stderr };
  }

  async function failingHere(env: Record<string, string>) {
    const { code, stderr, error, manifest, warnings } = await backUpHere(world, env);
    assert.is(code, 4, stderr + error);
    assert.is(manifest!.offsite, true, 'later runs send its copy');
    const text = [stderr, ...warnings].join('\n');
    for (const secret of SECRETS) assert.not.ok(text.includes(secret), `a secret is shown:\n${text}`);
    return { id: manifest!.id, stderr: text };
  }

  return { good, recent, old, fails };
}

/** The store recovers after some trouble: the backup is as good as any. */
export async function passes(
  { world, proxy, fresh }: S3World,
  good: Record<string, string>,
  recent: Manifest,
  trouble: (seen: Seen) => Fault | undefined,
): Promise<void> {
  const env = fresh({ S3_RETRY_TIME: '60s' });
  const manifest = await plant(good.BACKUP_DIR!, recent.id, {}, env.BACKUP_DIR);
  proxy.fault = trouble;
  await store(world, env, manifest);
  assert.is(keysOf(world, env).length, 3);
  for (const key of keysOf(world, env))
    assert.is(sha256(fileOf(world, key)), sha256(join(env.BACKUP_DIR!, key.split('/').at(-1)!)));
}
