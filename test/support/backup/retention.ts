/** Old backups, in a directory and a store that can misbehave, and what retention keeps of them. */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { localBackups, newestFirst } from '../../../scripts/lib/backup/catalog.ts';
import {
  artifactName,
  globalsName,
  type Manifest,
  manifestName,
} from '../../../scripts/lib/backup/manifest.ts';
import { applyRetention, planRetention, retain } from '../../../scripts/lib/backup/prune.ts';
import { openStore } from '../../../scripts/lib/s3/open-store.ts';
import { backUpHere, here } from '../core/here.ts';
import type { World } from '../core/world.ts';
import { createS3World, keysOf, type S3World } from '../s3/s3-world.ts';
import { type Changes, configOf, lay, plant } from './old-backups.ts';

export const ids = (manifests: Manifest[]) => manifests.map(({ id }) => id);

export const filesOf = ({ id, format }: Manifest) => [
  artifactName(id, format),
  globalsName(id),
  manifestName(id),
];

const VERSION = 'case "$*" in *--version*) echo "pg_dump (PostgreSQL) 15.0"; exit;; esac';
/** pg_dump as a script that fails, and the exit code of backup.ts then. */
export const FAILED_DUMPS: [script: string, code: number][] = [
  [`${VERSION}; echo "CREATE TABLE half (" ; echo "pg_dump: error: it broke" >&2; exit 1`, 1],
  [`${VERSION}; echo "CREATE TABLE half ("; exit 0`, 3],
];

/** Puts a pg_dump into a directory. */
export function writeDumpProgram(directory: string, script: string): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'pg_dump'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(directory, 'pg_dump'), 0o755);
}

/** Plants backups that are made of one. @param seed the one, and where its files are */
export function plantingFrom(
  { world, proxy }: Pick<S3World, 'proxy'> & { world: Pick<World, 's3'> },
  seed: { directory: string; id: string },
) {
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

  const isHere = (env: Record<string, string>, manifest: Manifest) =>
    filesOf(manifest).filter(name => existsSync(join(env.BACKUP_DIR!, name))).length;
  const isOffsite = (env: Record<string, string>, manifest: Manifest, keys = keysOf(world, env)) =>
    filesOf(manifest).filter(name => keys.includes(`${env.S3_PREFIX}/${name}`)).length;

  return { planted, isHere, isOffsite };
}

export async function createRetentionWorld() {
  const s3World = await createS3World();
  const { world, fresh } = s3World;

  /** One real backup, of which all others are made. */
  const seed = await (async () => {
    const env = fresh();
    const { manifest, stderr } = await backUpHere(world, env, { upload: false });
    if (!manifest) throw new Error(stderr);
    return { directory: env.BACKUP_DIR!, id: manifest.id };
  })();

  const { planted, isHere, isOffsite } = plantingFrom(s3World, seed);

  /** What prune-backups.ts --yes does, in this process. */
  async function pruneHere(env: Record<string, string>): Promise<void> {
    const config = configOf(world, env);
    const { code, error } = await here(world, env, async () => {
      for (const plan of await planRetention(config, await openStore(config.s3!)))
        assert.is((await applyRetention(config, plan)).problem, undefined);
    });
    assert.is(code, 0, error);
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

  /** What retention does after a backup that succeeds, whose files are planted instead of a dump. */
  async function retainHere(env: Record<string, string>) {
    const config = configOf(world, env);
    const { app, environment } = config;
    const done = await here(world, env, async () => {
      const [previous] = newestFirst(await localBackups(config));
      const [made] = await planted(env, [0], { app, environment });
      const { warnings } = await retain(
        config,
        await openStore(config.s3!),
        made!,
        previous?.manifest,
        undefined,
      );
      return { made: made!, warnings };
    });
    assert.is(done.code, 0, done.error);
    return { ...done.value!, stderr: done.stderr };
  }

  return { ...s3World, planted, isHere, isOffsite, pruneHere, kept, retainHere };
}
