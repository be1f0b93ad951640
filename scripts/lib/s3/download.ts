import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { pipeline as pipe } from 'node:stream/promises';
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { bytes } from '../core/format.ts';
import { interrupt } from '../core/signals.ts';
import { ABORTABLE } from './requests.ts';

/**
 * Prepares the download of an object of `total` bytes into a new file at `path`.
 *
 * @param progress called with the bytes received so far
 * @returns what fetches the rest, to be called again after a connection broke, and the bytes on disk so far
 */
export async function download(
  client: S3Client,
  object: { Bucket: string; Key: string },
  path: string,
  total: number,
  progress: (received: number) => void,
): Promise<[fetchRest: () => Promise<void>, written: () => number]> {
  await writeFile(path, '', { mode: 0o600 });
  let written = 0; // not what was received: what a broken stream still had in memory is lost
  const fetchRest = async () => {
    if (written > 0 && written === total) return; // all is there; whether it is right, its checksum shows
    const start = written;
    const Range = start > 0 ? `bytes=${start}-` : undefined;
    const request = new GetObjectCommand({ ...object, Range });
    const { Body } = await client.send(request, ABORTABLE);
    const file = createWriteStream(path, { flags: 'r+', start });
    const counted = async function* (source: AsyncIterable<Buffer>) {
      for await (const chunk of source) {
        yield chunk;
        progress(start + file.bytesWritten);
      }
    };
    try {
      await pipe(Body as AsyncIterable<Buffer>, counted, file, { signal: interrupt });
    } finally {
      written = start + file.bytesWritten;
    }
    progress(written);
    if (written < total) throw new Error(`the connection ended after ${bytes(written)} of ${bytes(total)}`);
  };
  return [fetchRest, () => written];
}
