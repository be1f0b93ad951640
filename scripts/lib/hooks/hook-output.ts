import type { Readable } from 'node:stream';
import { printable } from '../core/format.ts';

/** Bytes that are kept of the begin and of the end of what a hook writes. */
const HEAD = 16_384;
const TAIL = 49_152;

/**
 * Collects what streams write, in the order in which it comes. However much it is, 64 KiB are kept at most.
 *
 * @returns a function that returns what has come so far, as text that can be shown and stored
 */
export function collectOutput(streams: Readable[]): () => string {
  let head = Buffer.alloc(0);
  let tail: Buffer[] = [];
  let inTail = 0;
  let total = 0;
  const add = (chunk: Buffer) => {
    total += chunk.length;
    const room = HEAD - head.length;
    if (room > 0) head = Buffer.concat([head, chunk.subarray(0, room)]);
    const rest = chunk.subarray(Math.max(0, room));
    tail.push(rest);
    inTail += rest.length;
    if (inTail < 2 * TAIL) return;
    const kept = Buffer.concat(tail).subarray(-TAIL);
    tail = [Buffer.from(kept)];
    inTail = kept.length;
  };
  for (const stream of streams) stream.on('data', add).on('error', () => {});
  return () => {
    const end = Buffer.concat(tail).subarray(-TAIL);
    const left = total - head.length - end.length;
    if (left === 0) return textOf(Buffer.concat([head, end]));
    // Whole lines only: a secret that is cut would not be found, and so not be hidden.
    const first = head.subarray(0, head.lastIndexOf('\n') + 1);
    const last = end.subarray(end.indexOf('\n') + 1);
    const cut = total - first.length - last.length;
    return `${textOf(first)}… ${cut} bytes are left out …\n${textOf(last)}`;
  };
}

/** A progress bar overwrites its line: only its last state is kept. */
function textOf(bytes: Buffer): string {
  const text = bytes.toString('utf8').replaceAll('\r\n', '\n');
  return printable(text.replaceAll(/^[^\n]*\r(?=[^\n])/gm, ''), '\n\t');
}
