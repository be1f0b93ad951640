/** A store, and backups whose dumps hold a few bytes: for what happens between here and there. There is no PostgreSQL. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  artifactName,
  globalsName,
  manifestName,
  newId,
  serialize,
} from '../../../scripts/lib/backup/manifest.ts';
import { plantingFrom } from '../backup/retention.ts';
import { sampleManifest } from '../backup/sample-manifest.ts';
import { startFaultProxy } from './fault-proxy.ts';
import { abortUpload } from './store.ts';
import { startTestS3 } from './test-s3.ts';

/** Makes the files of a backup. @returns its id */
function writeBackup(directory: string): string {
  const now = new Date();
  const id = newId({ app: 'neurmatic', environment: 'production' }, now);
  const fileOf = (name: string) => {
    const content = `-- ${name}\n`;
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, name), content);
    return { name, bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
  };
  const [artifact, globals] = [fileOf(artifactName(id, 'plain')), fileOf(globalsName(id))];
  const at = now.toISOString();
  const manifest = sampleManifest({ id, snapshotAt: at, database: 'app', artifact, globals });
  writeFileSync(join(directory, manifestName(id)), serialize(manifest));
  return id;
}

export async function createStoreWorld() {
  const s3 = await startTestS3();
  const directory = mkdtempSync(join(tmpdir(), 'store-world-'));
  const env: Record<string, string> = { ...s3.env, PATH: process.env.PATH!, POSTGRES_DB: 'app' };
  const world = { s3, env, directory };
  const proxy = await startFaultProxy(s3.endpoint, uploadId => abortUpload(world, uploadId));
  const seed = { directory: join(directory, 'seed'), id: writeBackup(join(directory, 'seed')) };
  let places = 0;
  return {
    world,
    proxy,
    ...plantingFrom({ world, proxy }, seed),
    /** The environment of one test: directories and a prefix of its own, the store behind a proxy without faults. */
    fresh: (extra: Record<string, string> = {}): Record<string, string> => {
      const own = join(directory, `place-${++places}`);
      proxy.fault = () => undefined;
      proxy.seen.length = 0;
      return {
        S3_ENDPOINT: proxy.endpoint,
        S3_PREFIX: `place-${places}`,
        S3_RETRY_TIME: '3s',
        BACKUP_DIR: join(own, 'backups'),
        STATE_DIR: join(own, 'state'),
        LOG_DIR: join(own, 'logs'),
        ...extra,
      };
    },
    stop: async () => {
      await Promise.all([proxy.stop(), s3.stop()]);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
