import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** What a store answers to a PUT of bytes, of the checksums of what it has stored. */
interface Receipt {
  ETag?: string | undefined;
  ChecksumCRC32?: string | undefined;
}

/**
 * Whether a store's answer shows that it has received these bytes. An ETag is their MD5, unless the store encrypts with
 * a key of KMS: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
 *
 * @returns `other`: it has received something else; `unknown`: the answer shows nothing
 */
export function judge({ ETag, ChecksumCRC32 }: Receipt, body: Uint8Array): 'same' | 'other' | 'unknown' {
  if (ChecksumCRC32) {
    const own = Buffer.alloc(4);
    own.writeUInt32BE(crc32(body));
    return ChecksumCRC32 === own.toString('base64') ? 'same' : 'other';
  }
  const md5 = createHash('md5').update(body).digest('hex');
  return ETag?.replaceAll('"', '') === md5 ? 'same' : 'unknown';
}
