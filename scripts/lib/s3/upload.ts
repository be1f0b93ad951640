import { readFile } from 'node:fs/promises';
import { Exit, OperationalError } from '../core/errors.ts';
import { sizeOf } from '../core/files.ts';
import { locate, propertiesOf, type Store, urlOf } from './open-store.ts';
import { judge } from './receipt.ts';
import { ABORTABLE, isDenied, request } from './requests.ts';
import { head } from './store.ts';
import { uploadParts } from './upload-parts.ts';

const MIB = 1024 * 1024;

/**
 * The size of an upload's parts in bytes: S3 takes 10,000 parts of 5 MiB to 5 GiB, some stores only 1,000.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
 */
export function partSize(size: number): number {
  return Math.max(16 * MIB, Math.ceil(size / 900 / MIB) * MIB);
}

/**
 * Uploads a finished file, then compares size and SHA-256 with those that the store reports. To a key that may not look
 * at the object, the store's checksums in the answers to the upload show the same.
 *
 * @param metadata of the object; its `sha256` is compared
 * @param progress called with the bytes sent so far
 * @throws exit code 4
 */
export async function upload(
  store: Store,
  path: string,
  name: string,
  metadata: Record<string, string>,
  progress: (sent: number) => void = () => {},
): Promise<void> {
  const size = (await sizeOf(path)) ?? 0;
  const object = { ...locate(store, name), ...propertiesOf(store), Metadata: metadata };
  const received = await request(store, 'upload to', name, async () => {
    if (size > partSize(size))
      return uploadParts(store, name, object, { path, size, length: partSize(size) }, progress);
    const Body = await readFile(path);
    const receipt = await store.client.putObject({ ...object, Body }, ABORTABLE);
    progress(size);
    return judge(receipt, Body);
  });
  const problem =
    received === 'other'
      ? 'its checksum is not that of what was sent'
      : await compare(store, name, size, metadata.sha256, received === 'same');
  if (!problem) return;
  throw new OperationalError(
    `${urlOf(store, name)} is not what was uploaded: ${problem}`,
    'try again. If it fails again, the store changes or drops objects.',
    Exit.offsite,
  );
}

/** @returns what is wrong with an object, if anything is */
async function compare(
  store: Store,
  name: string,
  size: number,
  sha256: string | undefined,
  hasReceipt: boolean,
): Promise<string | undefined> {
  try {
    const stored = await head(store, name);
    if (!stored) return 'it does not exist';
    if (stored.ContentLength !== size) return `it has ${stored.ContentLength} bytes, not ${size}`;
    return stored.Metadata?.sha256 === sha256
      ? undefined
      : 'the SHA-256 in its metadata is not that of the file';
  } catch (error) {
    if (hasReceipt && error instanceof OperationalError && isDenied(error)) return undefined;
    throw error;
  }
}
