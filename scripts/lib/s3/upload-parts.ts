import { open } from 'node:fs/promises';
import type { CompletedPart, PutObjectCommandInput } from '@aws-sdk/client-s3';
import { messageOf } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { interrupt } from '../core/signals.ts';
import { locate, type Store, urlOf } from './open-store.ts';
import { judge } from './receipt.ts';
import { ABORTABLE, cleaningUp } from './requests.ts';

/** Times the part size is the memory that an upload needs. */
const PARTS_AT_ONCE = 2;

/** A file and the length of its parts, in bytes. */
interface PartedFile {
  path: string;
  size: number;
  length: number;
}

/**
 * Uploads a file in parts, each read into one of a few reused buffers: memory does not depend on the file's size,
 * and the client can repeat a part. A failure leaves no parts in the store.
 *
 * @param progress called with the bytes sent so far
 * @returns whether the store's answers show that it has received all parts as they are
 */
export async function uploadParts(
  store: Store,
  name: string,
  object: Omit<PutObjectCommandInput, 'Body'>,
  { path, size, length }: PartedFile,
  progress: (sent: number) => void,
): Promise<ReturnType<typeof judge>> {
  const { client } = store;
  const target = locate(store, name);
  const { ChecksumAlgorithm } = object;
  const { UploadId } = await client.createMultipartUpload(object, ABORTABLE);
  await using file = await open(path, 'r');
  const failure = new AbortController(); // one failed part ends all
  const abortSignal = AbortSignal.any([interrupt, failure.signal]);
  try {
    const Parts: CompletedPart[] = [];
    const receipts = new Set<ReturnType<typeof judge>>();
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
        const Body = buffer.subarray(0, bytesRead);
        const part = { ...target, UploadId, PartNumber: index + 1, Body, ChecksumAlgorithm };
        const { $metadata, ...completed } = await client.uploadPart(part, { abortSignal });
        receipts.add(judge(completed, Body));
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
    return receipts.has('other') ? 'other' : receipts.has('unknown') ? 'unknown' : 'same';
  } catch (error) {
    // Not ended by a signal: parts left behind are charged for, and no listing shows them.
    await client.abortMultipartUpload({ ...target, UploadId }, cleaningUp()).catch(left => {
      log.warn(`parts of ${urlOf(store, name)} may be left in the store: ${messageOf(left)}`);
    });
    throw error;
  }
}
