/** Requests about the objects of a store. */
import type { HeadObjectCommandOutput, S3ServiceException } from '@aws-sdk/client-s3';
import { locate, type Store } from './open-store.ts';
import { ABORTABLE, cleaningUp, request, requestBody } from './requests.ts';

export interface StoredObject {
  name: string;
  bytes: number;
  /** Another one for another content; undefined from a store that lists none. */
  etag?: string | undefined;
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
    for (const { Key, Size, ETag } of page.Contents ?? [])
      found.push({ name: Key!.slice(Prefix.length - start.length), bytes: Size ?? 0, etag: ETag });
    ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
  } while (ContinuationToken);
  return found;
}

/**
 * Deletes an object; one that does not exist counts as deleted.
 *
 * @returns whether it is only hidden by a marker, as in a bucket that keeps versions
 * @throws exit code 4
 */
export async function deleteObject(
  store: Store,
  name: string,
  { evenInterrupted = false } = {},
): Promise<boolean> {
  const { DeleteMarker } = await request(store, 'delete', name, () =>
    store.client.deleteObject(locate(store, name), evenInterrupted ? cleaningUp() : ABORTABLE),
  );
  return DeleteMarker === true;
}
