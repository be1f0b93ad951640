import type { S3 } from '@aws-sdk/client-s3';
import type { S3Settings } from '../config/config.ts';

/** Tries of one request, 0.1 to 20 s apart, doubling: a store may fail for half a minute. */
const ATTEMPTS = 8;

/** One prefix of one bucket. Names of objects are relative to the prefix. */
export interface Store {
  client: S3;
  settings: S3Settings;
  /** How often one request is tried. */
  attempts: number;
}

/**
 * Makes a client; sends nothing. Only this loads the S3 client, which takes a while: a script that needs no
 * store does not wait for it.
 *
 * @param attempts of one request; fewer where a quick answer matters more
 */
export async function openStore(settings: S3Settings, attempts = ATTEMPTS): Promise<Store> {
  const { accessKeyId, secretAccessKey, sessionToken } = settings;
  const { S3 } = await import('@aws-sdk/client-s3');
  const checksum = settings.checksums === 'supported' ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED';
  const client = new S3({
    region: settings.region,
    credentials: { accessKeyId, secretAccessKey, sessionToken },
    endpoint: settings.endpoint,
    forcePathStyle: settings.pathStyle,
    requestChecksumCalculation: checksum,
    responseChecksumValidation: checksum,
    maxAttempts: attempts,
    requestHandler: { connectionTimeout: 5000, socketTimeout: settings.timeout * 1000 },
  });
  return { client, settings, attempts };
}

/** @returns what every request about an object begins with */
export function locate({ settings: { bucket, prefix } }: Store, name: string) {
  return { Bucket: bucket, Key: prefix ? `${prefix}/${name}` : name };
}

/** @returns the address of an object as operators write it: `s3://bucket/prefix/name` */
export function urlOf(store: Store, name: string): string {
  const { Bucket, Key } = locate(store, name);
  return `s3://${Bucket}/${Key}`;
}
