/** Reads a tar archive, as `docker cp … -` writes it: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html */

export interface TarEntry {
  name: string;
  /** The type flag: `0` is a regular file, `5` a directory. */
  type: string;
  data: Buffer;
}

const BLOCK = 512;
const text = (bytes: Buffer): string => bytes.toString('utf8').replace(/\0.*$/s, '');

/**
 * Long names are in entries of their own before that of the file: of type `x` (pax), or `L` (GNU).
 *
 * @throws Error that says what is wrong with the archive, as the end of “its archive …”
 */
export function* tarEntries(archive: Buffer): Generator<TarEntry> {
  let longName: string | undefined;
  for (let at = 0; at < archive.length; ) {
    const header = archive.subarray(at, at + BLOCK);
    if (header.length < BLOCK) throw new Error('ends in the middle of a file');
    if (header.every(byte => byte === 0)) return;
    if (checksum(header) !== octal(header, 148, 8)) throw new Error('is damaged');
    const size = octal(header, 124, 12);
    const data = archive.subarray(at + BLOCK, at + BLOCK + size);
    if (data.length < size) throw new Error('ends in the middle of a file');
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    const type = String.fromCharCode(header[156]! || 0x30);
    const prefix = text(header.subarray(345, 500));
    const name = (prefix ? `${prefix}/` : '') + text(header.subarray(0, 100));
    if (type === 'x') longName = pathOf(data) ?? longName;
    else if (type === 'L') longName = text(data);
    else if (type !== 'g') {
      yield { name: longName ?? name, type, data };
      longName = undefined;
    }
  }
}

/** Of the header, with blanks in the place of the sum. */
const checksum = (header: Buffer): number =>
  header.reduce((sum, byte, index) => sum + (index >= 148 && index < 156 ? 0x20 : byte), 0);

function octal(header: Buffer, start: number, length: number): number {
  const digits = header.toString('latin1', start, start + length).replace(/[\0 ]+$/, '');
  if (!/^ *[0-7]+$/.test(digits)) throw new Error('is damaged'); // or has a file of 8 GiB or more
  return Number.parseInt(digits, 8);
}

/** The path in records of `LENGTH KEY=VALUE\n`, whose length includes itself. */
function pathOf(records: Buffer): string | undefined {
  let path: string | undefined;
  for (let at = 0; at < records.length; ) {
    const length = Number(/^\d+(?= )/.exec(records.toString('latin1', at, at + 12))?.[0]);
    if (!length || at + length > records.length) throw new Error('is damaged');
    const record = records.toString('utf8', at, at + length - 1);
    const [, key, value] = /^\d+ ([^=]+)=(.*)$/s.exec(record) ?? [];
    if (key === 'path') path = value;
    if (key === 'size' || key?.startsWith('GNU.sparse')) throw new Error('has a file of an unknown form');
    at += length;
  }
  return path;
}
