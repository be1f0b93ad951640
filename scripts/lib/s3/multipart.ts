import { open } from 'node:fs/promises';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type PutObjectCommandInput,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { messageOf } from '../core/errors.ts';
import { log } from '../core/log.ts';

const MIB = 1024 * 1024;
/** For a request that cleans up: sent even when a signal has arrived, so it must not take for ever. */
const CLEAN_UP_SECONDS = 30;
/** Times the part size is what an upload keeps in memory. */
const PARTS_AT_ONCE = 2;

/**
 * The size of an upload's parts in bytes: S3 takes 10,000 parts of 5 MiB to 5 GiB, some stores only 1,000.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
 */
export function partSize(size: number): number {
  return Math.max(16 * MIB, Math.ceil(size / 900 / MIB) * MIB);
}

/** What to give a request that cleans up, in place of the interrupt. */
export function cleaningUp(): { abortSignal: AbortSignal } {
  return { abortSignal: AbortSignal.timeout(CLEAN_UP_SECONDS * 1000) };
}

/**
 * Uploads a finished file in parts, each read into one of a few buffers that are used again: memory does not
 * depend on the file's size, and the client can send a part again. A failure leaves no parts in the store.
 */
export async function uploadParts(
  client: S3Client,
  object: Omit<PutObjectCommandInput, 'Body'>,
  path: string,
  size: number,
  { signal, progress }: { signal: AbortSignal; progress: (sent: number) => void },
): Promise<void> {
  const { Bucket, Key } = object;
  // The client gives each part a checksum by itself, but does not tell the store to expect them.
  const checksums = (await client.config.requestChecksumCalculation()) === 'WHEN_SUPPORTED';
  const begin = { ...object, ChecksumAlgorithm: checksums ? ('CRC32' as const) : undefined };
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(begin), { abortSignal: signal });
  const file = await open(path, 'r');
  const failure = new AbortController(); // one part's end is all parts' end
  const abortSignal = AbortSignal.any([signal, failure.signal]);
  try {
    const length = partSize(size);
    const parts: CompletedPart[] = [];
    let next = 0;
    let sent = 0;
    const sendSome = async () => {
      const buffer = Buffer.allocUnsafeSlow(Math.min(length, size));
      for (let index = next++; index * length < size; index = next++) {
        const { bytesRead } = await file.read(
          buffer,
          0,
          Math.min(length, size - index * length),
          index * length,
        );
        const part = { Bucket, Key, UploadId, PartNumber: index + 1, Body: buffer.subarray(0, bytesRead) };
        const { $metadata, ...completed } = await client.send(new UploadPartCommand(part), { abortSignal });
        parts[index] = { ...completed, PartNumber: index + 1 };
        sent += bytesRead;
        progress(sent);
      }
    };
    const senders = Array.from({ length: PARTS_AT_ONCE }, sendSome);
    for (const sender of senders) sender.catch(error => failure.abort(error));
    await Promise.allSettled(senders);
    abortSignal.throwIfAborted();
    const complete = { Bucket, Key, UploadId, MultipartUpload: { Parts: parts } };
    await client.send(new CompleteMultipartUploadCommand(complete), { abortSignal: signal });
  } catch (error) {
    // Not bound to the signal: parts that are left behind are paid for and shown by no listing.
    const abort = new AbortMultipartUploadCommand({ Bucket, Key, UploadId });
    await client.send(abort, cleaningUp()).catch(left => {
      log.warn(`parts of s3://${Bucket}/${Key} may be left in the store: ${messageOf(left)}`);
    });
    throw error;
  } finally {
    await file.close();
  }
}
