/** Requests about the objects of a store. */
import type { HeadObjectCommandOutput, S3ServiceException } from '@aws-sdk/client-s3';
import { duration } from '../core/format.ts';
import { log } from '../core/log.ts';
import { interrupt } from '../core/signals.ts';
import { locate, type Store } from './open-store.ts';
import { ABORTABLE, cleaningUp, request, requestBody } from './requests.ts';

/** The probe before a backup only warns: it must not delay the backup for as long as an upload may retry. */
const PROBE_SECONDS = 30;
/**
 * Seconds. Stores refuse requests whose time is off by more than 900:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html (RequestTimeTooSkewed)
 */
const CLOCK_TOLERANCE = 300;

export interface StoredObject {
  name: string;
  bytes: number;
}

/**
 * Writes one small object of a fixed name, and deletes it. Warns when this machine's clock is off.
 * @throws exit code 4 when it can't be written
 */
export async function probeStore(store: Store): Promise<void> {
  const { client } = store;
  const name = '.write-probe';
  const object = locate(store, name);
  const limit = { abortSignal: AbortSignal.any([interrupt, AbortSignal.timeout(PROBE_SECONDS * 1000)]) };
  await request(store, 'write to', name, () =>
    client.putObject({ ...object, Body: 'a write probe; it may be deleted\n' }, limit),
  );
  const seconds = client.config.systemClockOffset / 1000; // the client signs with the store's time
  if (Math.abs(seconds) > CLOCK_TOLERANCE) {
    const off = `${duration(Math.abs(seconds))} ${seconds > 0 ? 'behind' : 'ahead of'}`;
    log.warn(`this machine’s clock is ${off} the store’s: set it, \`timedatectl\` shows it`);
  }
  // A key without permission to delete is good practice: retention is then done by the store.
  await client.deleteObject(object, limit).catch(() => {});
}

/**
 * @returns size and metadata of an object, or undefined if there is none
 * @throws exit code 4
 */
export async function head(store: Store, name: string): Promise<HeadObjectCommandOutput | undefined> {
  return request(store, 'look at', name, async () => {
    try {
      return await store.client.headObject(locate(store, name), ABORTABLE);
    } catch (error) {
      if ((error as S3ServiceException).$metadata?.httpStatusCode === 404) return undefined;
      throw error;
    }
  });
}

/**
 * @returns a small object's text, or undefined if there is none
 * @throws exit code 4
 */
export async function readText(store: Store, name: string): Promise<string | undefined> {
  return requestBody(store, 'read', name, async () => {
    try {
      const { Body } = await store.client.getObject(locate(store, name), ABORTABLE);
      return await Body!.transformToString();
    } catch (error) {
      if ((error as S3ServiceException).name === 'NoSuchKey') return undefined;
      throw error;
    }
  });
}

/**
 * @returns all objects whose name starts with `start`
 * @throws exit code 4
 */
export async function listObjects(store: Store, start: string): Promise<StoredObject[]> {
  const { Bucket, Key: Prefix } = locate(store, start);
  const found: StoredObject[] = [];
  let ContinuationToken: string | undefined;
  do {
    const page = await request(store, 'list', start, () =>
      store.client.listObjectsV2({ Bucket, Prefix, ContinuationToken }, ABORTABLE),
    );
    for (const { Key, Size } of page.Contents ?? [])
      found.push({ name: Key!.slice(Prefix.length - start.length), bytes: Size ?? 0 });
    ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
  } while (ContinuationToken);
  return found;
}

/**
 * Deletes an object; one that does not exist counts as deleted.
 * @throws exit code 4
 */
export async function deleteObject(
  store: Store,
  name: string,
  { evenInterrupted = false } = {},
): Promise<void> {
  await request(store, 'delete', name, () =>
    store.client.deleteObject(locate(store, name), evenInterrupted ? cleaningUp() : ABORTABLE),
  );
}
