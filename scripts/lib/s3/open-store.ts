import type { S3 } from '@aws-sdk/client-s3';
import type { S3Settings } from '../config/config.ts';
import { type RetryPolicy, retryFor, strategyOf } from './retry.ts';

/** One prefix of one bucket. Names of objects are relative to the prefix. */
export interface Store {
  client: S3;
  settings: S3Settings;
  retries: RetryPolicy;
  /** Of each object that is written; undefined: none is sent. */
  checksum: 'CRC32' | undefined;
}

/**
 * Makes a client; sends nothing. Only this loads the S3 client, which takes a while: a script that needs no
 * store does not wait for it.
 *
 * @param retryTime seconds after its first failure in which a request is repeated; less where a quick answer matters more
 */
export async function openStore(settings: S3Settings, retryTime = settings.retryTime): Promise<Store> {
  const { accessKeyId, secretAccessKey, sessionToken } = settings;
  const { S3 } = await import('@aws-sdk/client-s3');
  const checksum = settings.checksums === 'supported' ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED';
  const retries = retryFor(retryTime);
  const client = new S3({
    region: settings.region,
    credentials: { accessKeyId, secretAccessKey, sessionToken },
    endpoint: settings.endpoint,
    forcePathStyle: settings.pathStyle,
    requestChecksumCalculation: checksum,
    responseChecksumValidation: checksum,
    retryStrategy: strategyOf(retries),
    requestHandler: { connectionTimeout: 5000, socketTimeout: settings.timeout * 1000 },
  });
  return { client, settings, retries, checksum: settings.checksums === 'supported' ? 'CRC32' : undefined };
}

/** @returns what every request about an object begins with */
export function locate({ settings: { bucket, prefix } }: Store, name: string) {
  return { Bucket: bucket, Key: prefix ? `${prefix}/${name}` : name };
}

/** @returns with which properties each object is written */
export function propertiesOf({ settings, checksum }: Store) {
  return {
    StorageClass: settings.storageClass as 'STANDARD_IA',
    ServerSideEncryption: settings.sse,
    SSEKMSKeyId: settings.kmsKeyId,
    ChecksumAlgorithm: checksum,
  };
}

/** @returns the address of an object as operators write it: `s3://bucket/prefix/name` */
export function urlOf(store: Store, name: string): string {
  const { Bucket, Key } = locate(store, name);
  return `s3://${Bucket}/${Key}`;
}
