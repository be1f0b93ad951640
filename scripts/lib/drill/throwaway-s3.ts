import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OperationalError } from '../core/errors.ts';

/** An S3 server for one drill or test. */
export interface ThrowawayS3 {
  endpoint: string;
  port: number;
  /** Holds each object as a file. */
  directory: string;
  bucket: string;
  /** The variables that make a script use this server. */
  env: Record<string, string>;
  stop: () => Promise<void>;
}

/** The only key pair that s3rver accepts. */
const KEY = 'S3RVER';

/**
 * Starts an S3 server in this process.
 * @throws OperationalError without the development dependencies, as in the backup service's image
 */
export async function startThrowawayS3(bucket = 'drill', address = '127.0.0.1'): Promise<ThrowawayS3> {
  const S3rver = await loadS3rver();
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

async function loadS3rver() {
  try {
    return (await import('s3rver')).default;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new OperationalError(
      'the package s3rver is not installed; it is a development dependency',
      'in a clone of this repository: npm ci --include=dev && npm run drill',
    );
  }
}
