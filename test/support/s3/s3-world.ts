import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createWorld, type Ended, type World } from '../core/world.ts';
import { type Fault, type FaultProxy, type Seen, startFaultProxy } from './fault-proxy.ts';
import { abortUpload, keys } from './store.ts';

/** A world whose store is reached through a front door that can misbehave. */
export interface S3World {
  world: World;
  proxy: FaultProxy;
  /** The environment of one test: directories and a prefix of its own, the store behind a proxy without faults. */
  fresh: (extra?: Record<string, string>) => Record<string, string>;
  backup: (env: Record<string, string>, ...args: string[]) => Promise<Ended>;
  stop: () => Promise<void>;
}

/** Of PostgreSQL: with characters that are special in a shell, a URL or a log. */
export const PASSWORD = 'p%40 ss\'"$(x)&?/\\#';

export async function createS3World(): Promise<S3World> {
  const world = await createWorld({ password: PASSWORD });
  const proxy = await startFaultProxy(world.s3.endpoint, uploadId => abortUpload(world, uploadId));
  await world.sql('CREATE TABLE t AS SELECT i, md5(i::text) AS text FROM generate_series(1, 1000) AS i');
  let tests = 0;
  return {
    world,
    proxy,
    fresh: extra => {
      const own = join(world.directory, `test-${++tests}`);
      proxy.fault = () => undefined;
      proxy.seen.length = 0;
      return {
        S3_ENDPOINT: proxy.endpoint,
        S3_PREFIX: `nested/test-${tests}`,
        S3_RETRY_TIME: '3s', // a test of lasting trouble waits so long
        BACKUP_DIR: join(own, 'backups'),
        LOG_DIR: join(own, 'logs'),
        STATE_DIR: join(own, 'state'),
        ...extra,
      };
    },
    backup: (env, ...args) => world.run('backup', args, env),
    stop: async () => {
      await Promise.all([proxy.stop(), world.stop()]);
    },
  };
}

/**
 * A database `big` whose dump takes two parts of an upload: of hashes, so that it can't be compressed.
 * @param rows of 16 kB each
 */
export async function createBigDatabase(world: World, rows = 1100): Promise<void> {
  await world.sql('CREATE DATABASE big', 'postgres');
  await world.sql(
    `CREATE TABLE t AS SELECT i, (SELECT string_agg(sha512(int4send(i * 1000 + n)), '')
       FROM generate_series(1, 250) AS n) AS bytes FROM generate_series(1, ${rows}) AS i`,
    'big',
  );
}

/** @returns the id that `backup.ts --json` printed */
export const idOf = (ended: Ended): string => JSON.parse(ended.stdout).backup.id;

/** @returns the keys below a test's prefix */
export function keysOf(world: Pick<World, 's3'>, env: Record<string, string>): string[] {
  return keys(world).filter(key => key.startsWith(`${env.S3_PREFIX}/`));
}

export const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

/** Whether a request stores a part of a backup, not the probe of the preflight. */
export const isData = ({ method, key }: Seen) => method === 'PUT' && !key.endsWith('.write-probe');

/** A fault that goes away after `times` of the requests that it concerns. */
export function first(times: number, concerns: (seen: Seen) => boolean, fault: Fault) {
  let left = times;
  return (seen: Seen) => (concerns(seen) && left-- > 0 ? fault : undefined);
}
