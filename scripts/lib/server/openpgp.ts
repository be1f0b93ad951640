/** Public keys of OpenPGP, as far as it takes to say which ones a file has (RFC 4880). */
import { createHash } from 'node:crypto';

/** The tag of a primary public key's packet. */
const PUBLIC_KEY = 6;

/**
 * @param armored the text of a file such as `docker.asc`
 * @returns the fingerprints of its primary keys, in upper case: apt trusts each of them
 * @throws Error where the text is no such file
 */
export function fingerprints(armored: string): string[] {
  const blocks = [
    ...armored.matchAll(
      /^-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n((?:[\w-]+: .*\r?\n)*)\r?\n([A-Za-z0-9+/=\s]+?)(?:\r?\n=[A-Za-z0-9+/]{4})?\r?\n-----END PGP PUBLIC KEY BLOCK-----\s*$/gm,
    ),
  ];
  if (blocks.length === 0) throw new Error('it is no public key');
  return blocks.flatMap(([, , body]) => keysOf(Buffer.from(body!, 'base64')));
}

function keysOf(bytes: Buffer): string[] {
  const found: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const { tag, start, end } = packetAt(bytes, at);
    if (end > bytes.length) throw new Error('it is cut short');
    if (tag === PUBLIC_KEY) found.push(fingerprint(bytes.subarray(start, end)));
    at = end;
  }
  return found;
}

/** RFC 4880, 4.2: the old and the new format of a packet's head. */
function packetAt(bytes: Buffer, at: number): { tag: number; start: number; end: number } {
  const head = bytes[at]!;
  if (!(head & 0x80)) throw new Error('it has no packet where one should be');
  const start = at + 1;
  if (head & 0x40) {
    const first = bytes[start]!;
    const tag = head & 0x3f;
    if (first < 192) return { tag, start: start + 1, end: start + 1 + first };
    if (first < 224)
      return { tag, start: start + 2, end: start + 2 + ((first - 192) << 8) + bytes[start + 1]! + 192 };
    if (first < 255) throw new Error('it has a packet in parts');
    return { tag, start: start + 5, end: start + 5 + bytes.readUInt32BE(start + 1) };
  }
  const size = [1, 2, 4][head & 3];
  if (size === undefined) throw new Error('it has a packet without a length');
  return { tag: (head >> 2) & 0xf, start: start + size, end: start + size + bytes.readUIntBE(start, size) };
}

/** RFC 4880, 12.2, for version 4: others have no such fingerprint. */
function fingerprint(body: Buffer): string {
  if (body[0] !== 4) return `version ${body[0]}`;
  const length = Buffer.from([0x99, body.length >> 8, body.length & 0xff]);
  return createHash('sha1').update(length).update(body).digest('hex').toUpperCase();
}
