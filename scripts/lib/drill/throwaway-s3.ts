import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface ThrowawayS3 {
  endpoint: string;
  port: number;
  /** Where the objects lie as files. */
  directory: string;
  bucket: string;
  /** What a script needs in its environment to use this store. */
  env: Record<string, string>;
  stop: () => Promise<void>;
}

/** The only key pair that the embedded server knows. */
const KEY = 'S3RVER';

/** Starts an S3 server in this process, on the loopback interface unless told, for drills and tests. */
export async function startThrowawayS3(bucket = 'drill', address = '127.0.0.1'): Promise<ThrowawayS3> {
  const { default: S3rver } = await import('s3rver');
  const directory = mkdtempSync(join(tmpdir(), `throwaway-s3-${randomBytes(2).toString('hex')}-`));
  const server = new S3rver({
    address,
    port: 0,
    directory,
    silent: true,
    configureBuckets: [{ name: bucket, configs: [] }],
  });
  const { port } = await server.run();
  const endpoint = `http://${address}:${port}`;
  return {
    endpoint,
    port,
    directory,
    bucket,
    env: { S3_BUCKET: bucket, S3_ENDPOINT: endpoint, AWS_ACCESS_KEY_ID: KEY, AWS_SECRET_ACCESS_KEY: KEY },
    stop: async () => {
      await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
