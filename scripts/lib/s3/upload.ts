import { open, readFile } from 'node:fs/promises';
import type { CompletedPart, PutObjectCommandInput } from '@aws-sdk/client-s3';
import { Exit, messageOf, OperationalError } from '../core/errors.ts';
import { sizeOf } from '../core/files.ts';
import { log } from '../core/log.ts';
import { interrupt } from '../core/signals.ts';
import { locate, type Store, urlOf } from './open-store.ts';
import { ABORTABLE, cleaningUp, request } from './requests.ts';
import { head } from './store.ts';

const MIB = 1024 * 1024;
/** Times the part size is the memory that an upload needs. */
const PARTS_AT_ONCE = 2;

/**
 * The size of an upload's parts in bytes: S3 takes 10,000 parts of 5 MiB to 5 GiB, some stores only 1,000.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
 */
export function partSize(size: number): number {
  return Math.max(16 * MIB, Math.ceil(size / 900 / MIB) * MIB);
}

/**
 * Uploads a finished file, then compares size and SHA-256 with those that the store reports.
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
  const { client, settings } = store;
  const size = (await sizeOf(path)) ?? 0;
  const object = {
    ...locate(store, name),
    Metadata: metadata,
    StorageClass: settings.storageClass as 'STANDARD_IA',
    ServerSideEncryption: settings.sse,
    SSEKMSKeyId: settings.kmsKeyId,
  };
  await request(store, 'upload to', name, async () => {
    if (size > partSize(size)) return uploadParts(store, name, object, path, size, progress);
    await client.putObject({ ...object, Body: await readFile(path) }, ABORTABLE);
    progress(size);
  });
  const stored = await head(store, name);
  const problem = !stored
    ? 'it does not exist'
    : stored.ContentLength !== size
      ? `it has ${stored.ContentLength} bytes, not ${size}`
      : stored.Metadata?.sha256 !== metadata.sha256
        ? 'the SHA-256 in its metadata is not that of the file'
        : undefined;
  if (!problem) return;
  throw new OperationalError(
    `${urlOf(store, name)} is not what was uploaded: ${problem}`,
    'try again. If it fails again, the store changes or drops objects.',
    Exit.offsite,
  );
}

/**
 * Uploads a file in parts, each read into one of a few reused buffers: memory does not depend on the file's size,
 * and the client can repeat a part. A failure leaves no parts in the store.
 */
async function uploadParts(
  store: Store,
  name: string,
  object: Omit<PutObjectCommandInput, 'Body'>,
  path: string,
  size: number,
  progress: (sent: number) => void,
): Promise<void> {
  const { client } = store;
  const target = locate(store, name);
  // The client gives each part a checksum, but does not tell the store to expect them.
  const checksums = (await client.config.requestChecksumCalculation()) === 'WHEN_SUPPORTED';
  const ChecksumAlgorithm = checksums ? 'CRC32' : undefined;
  const { UploadId } = await client.createMultipartUpload({ ...object, ChecksumAlgorithm }, ABORTABLE);
  const file = await open(path, 'r');
  const failure = new AbortController(); // one failed part ends all
  const abortSignal = AbortSignal.any([interrupt, failure.signal]);
  try {
    const length = partSize(size);
    const Parts: CompletedPart[] = [];
    let next = 0;
    let sent = 0;
    const sendParts = async () => {
      const buffer = Buffer.allocUnsafeSlow(length);
      for (let index = next++; index * length < size; index = next++) {
        const { bytesRead } = await file.read(
          buffer,
          0,
          Math.min(length, size - index * length),
          index * length,
        );
        const part = { ...target, UploadId, PartNumber: index + 1, Body: buffer.subarray(0, bytesRead) };
        const { $metadata, ...completed } = await client.uploadPart(part, { abortSignal });
        Parts[index] = { ...completed, PartNumber: index + 1 };
        sent += bytesRead;
        progress(sent);
      }
    };
    const senders = Array.from({ length: PARTS_AT_ONCE }, sendParts);
    for (const sender of senders) sender.catch(error => failure.abort(error));
    await Promise.allSettled(senders);
    abortSignal.throwIfAborted();
    await client.completeMultipartUpload({ ...target, UploadId, MultipartUpload: { Parts } }, ABORTABLE);
  } catch (error) {
    // Not ended by a signal: parts left behind are charged for, and no listing shows them.
    await client.abortMultipartUpload({ ...target, UploadId }, cleaningUp()).catch(left => {
      log.warn(`parts of ${urlOf(store, name)} may be left in the store: ${messageOf(left)}`);
    });
    throw error;
  } finally {
    await file.close();
  }
}
