import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { verificationError } from '../core/errors.ts';
import { bytes } from '../core/format.ts';
import { interrupt } from '../core/signals.ts';
import { locate, type Store, urlOf } from './open-store.ts';
import { ABORTABLE, requestBody } from './requests.ts';
import { head } from './store.ts';

/**
 * Downloads an object into a new file, readable by its owner only. A broken connection is resumed where it broke.
 *
 * @param progress called with the bytes received so far
 * @throws exit code 3 when there is no such object, 4 when it can't be read
 */
export async function download(
  store: Store,
  name: string,
  path: string,
  progress: (received: number) => void = () => {},
): Promise<void> {
  const total = (await head(store, name))?.ContentLength;
  if (total === undefined)
    throw verificationError(
      `${urlOf(store, name)} is missing`,
      './scripts/list-backups.ts lists the backups.',
    );
  await writeFile(path, '', { mode: 0o600 });
  let written = 0; // not the bytes received: a broken stream loses what it still had in memory
  const fetchRest = async () => {
    if (written > 0 && written === total) return; // complete; the checksum shows whether it is right
    const start = written;
    const Range = start > 0 ? `bytes=${start}-` : undefined;
    const { Body } = await store.client.getObject({ ...locate(store, name), Range }, ABORTABLE);
    const file = createWriteStream(path, { flags: 'r+', start });
    const counted = async function* (source: AsyncIterable<Buffer>) {
      for await (const chunk of source) {
        yield chunk;
        progress(start + file.bytesWritten);
      }
    };
    try {
      await pipeline(Body as AsyncIterable<Buffer>, counted, file, { signal: interrupt });
    } finally {
      written = start + file.bytesWritten;
    }
    progress(written);
    if (written < total) throw new Error(`the connection ended after ${bytes(written)} of ${bytes(total)}`);
  };
  await requestBody(store, 'download', name, fetchRest, () => written);
}
