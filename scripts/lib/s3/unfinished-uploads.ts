/** Multipart uploads that were neither completed nor aborted: their parts are charged for, and no list of objects shows them. */
import { locate, type Store } from './open-store.ts';
import { ABORTABLE, request } from './requests.ts';

export interface UnfinishedUpload {
  name: string;
  uploadId: string;
  /** In ms since 1970; 0 if the store does not say. */
  begunAt: number;
}

/**
 * @returns the unfinished uploads of all objects whose name starts with `start`
 * @throws exit code 4, also from a store that has no such list
 */
export async function unfinishedUploads(store: Store, start: string): Promise<UnfinishedUpload[]> {
  const { Bucket, Key: Prefix } = locate(store, start);
  const found: UnfinishedUpload[] = [];
  let from: { KeyMarker?: string; UploadIdMarker?: string } = {};
  for (;;) {
    const page = await request(store, 'list unfinished uploads of', start, () =>
      store.client.listMultipartUploads({ Bucket, Prefix, ...from }, ABORTABLE),
    );
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (!Key?.startsWith(Prefix) || !UploadId) continue; // some stores ignore a prefix
      found.push({
        name: Key.slice(Prefix.length - start.length),
        uploadId: UploadId,
        begunAt: Initiated?.getTime() ?? 0,
      });
    }
    if (!page.IsTruncated || !page.NextKeyMarker) return found;
    from = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
  }
}

/**
 * Aborts one; one that no longer exists counts as aborted.
 * @throws exit code 4
 */
export async function abortUpload(store: Store, { name, uploadId }: UnfinishedUpload): Promise<void> {
  await request(store, 'abort the upload of', name, async () => {
    try {
      await store.client.abortMultipartUpload({ ...locate(store, name), UploadId: uploadId }, ABORTABLE);
    } catch (error) {
      if ((error as Error).name !== 'NoSuchUpload') throw error;
    }
  });
}
