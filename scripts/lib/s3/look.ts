/** What the key may do and how the bucket is set, found out without a change. */
import type { S3ServiceException } from '@aws-sdk/client-s3';
import { interrupt } from '../core/signals.ts';
import { locate, openStore, type Store } from './open-store.ts';
import { request } from './requests.ts';

/** Rights that a run needs, by what each is for. */
type Right = 'list' | 'read' | 'write' | 'delete' | 'list uploads';

/** Undefined: the store does not say. */
export interface StoreFacts {
  rights: Partial<Record<Right, boolean>>;
  /** Whether a deletion only hides an object. */
  versioned?: boolean | undefined;
  /** Whether the bucket has Object Lock, which asks for a checksum of each object. */
  locked?: boolean | undefined;
}

/** Seconds. The look before a backup must not delay it for as long as an upload may retry. */
const LOOK_SECONDS = 30;
export const LOOK_RETRY_SECONDS = 2;

/** An answer to HEAD has no body, so no code: the client makes up a name. */
const DENIALS = ['AccessDenied', 'Forbidden', '403', 'Unknown', 'UnknownError'];

/** What is missing without a right. */
const LACKS: Record<Right, [right: string, consequence: string]> = {
  list: [
    's3:ListBucket',
    'list-backups.ts and retention can’t see S3; rules of the bucket must delete expired backups',
  ],
  read: [
    's3:GetObject',
    'a restore from S3 needs another key; a copy is verified only by the checksum in the answer to its upload',
  ],
  write: ['s3:PutObject', 'there can be no copy'],
  delete: ['s3:DeleteObject', 'rules of the bucket must delete expired backups'],
  'list uploads': [
    's3:ListBucketMultipartUploads',
    'what a killed upload leaves stays until a rule of the bucket aborts it',
  ],
};

/** @returns a line for each right that the key lacks */
export function lacking({ rights }: StoreFacts): string[] {
  return Object.entries(LACKS)
    .filter(([right]) => rights[right as Right] === false)
    .map(([, [name, consequence]]) => `the key of AWS_ACCESS_KEY_ID lacks ${name}: ${consequence}`);
}

/** @returns options of a request that a signal or a short time ends */
export function briefly(): { abortSignal: AbortSignal } {
  return { abortSignal: AbortSignal.any([interrupt, AbortSignal.timeout(LOOK_SECONDS * 1000)]) };
}

/**
 * Asks the store; writes nothing. Where the bucket has Object Lock, `store` gives each object a checksum from now on.
 * @throws exit code 4 when the store does not answer, or not to this key or bucket
 */
export async function lookAtStore(store: Store): Promise<StoreFacts> {
  const { client } = store;
  const { Bucket, Key: Prefix } = locate(store, '');
  const ask = <T>(action: () => Promise<T>) => request(store, 'list', '', () => permitted(action));
  const list = await ask(() => client.listObjectsV2({ Bucket, Prefix }, briefly()));
  const [versioning, lock, uploads] = await Promise.all([
    ask(() => client.getBucketVersioning({ Bucket }, briefly())),
    ask(() => client.getObjectLockConfiguration({ Bucket }, briefly())),
    ask(() => client.listMultipartUploads({ Bucket, Prefix, MaxUploads: 1 }, briefly())),
  ]);
  const locked = lock.answer
    ? lock.answer.ObjectLockConfiguration?.ObjectLockEnabled === 'Enabled'
    : undefined;
  if (locked) store.checksum = 'CRC32';
  return {
    rights: { list: list.allowed, 'list uploads': uploads.allowed, read: await mayRead() },
    versioned: versioning.answer ? versioning.answer.Status === 'Enabled' : undefined,
    locked,
  };

  async function mayRead(): Promise<boolean | undefined> {
    if (!list.allowed) return undefined; // then a missing object is denied, too
    const Key = list.answer?.Contents?.[0]?.Key ?? locate(store, '.write-probe').Key;
    return (await ask(() => client.headObject({ Bucket, Key }, briefly()))).allowed;
  }
}

/**
 * Asks for the end of an upload that does not exist. S3 looks at the right to write first; there is nothing that it could
 * write. What a store without this order answers says nothing.
 */
export async function mayWrite(store: Store): Promise<boolean | undefined> {
  const once = await openStore(store.settings, 0); // some stores answer with HTTP 500
  const Parts = [{ PartNumber: 1, ETag: '"d41d8cd98f00b204e9800998ecf8427e"' }];
  const upload = { ...locate(store, '.write-probe'), UploadId: 'none', MultipartUpload: { Parts } };
  const denied = await once.client.completeMultipartUpload(upload, briefly()).then(
    () => false,
    error => (error as Error).name === 'AccessDenied',
  );
  interrupt.throwIfAborted();
  return denied ? false : undefined;
}

/** Runs a request that the key may not have the right to, or the store does not know, or whose object is missing. */
async function permitted<T>(action: () => Promise<T>): Promise<{ allowed?: boolean; answer?: T }> {
  try {
    return { allowed: true, answer: await action() };
  } catch (error) {
    const { name, $metadata } = error as S3ServiceException;
    const status = $metadata?.httpStatusCode;
    if (status === 403 && DENIALS.includes(name)) return { allowed: false };
    if (name === 'NoSuchBucket' || status === undefined) throw error;
    if (status === 404) return { allowed: true };
    if (status === 405 || status === 501 || name === 'NotImplemented') return {};
    throw error;
  }
}
