/** Proves that a manifest, and with it the files whose SHA-256 it holds, was written with a key that the store does not know. */
import { createHmac, timingSafeEqual } from 'node:crypto';

/** What is wrong with a manifest's signature. */
export type SignatureProblem = 'not signed' | 'wrong signature';

/** The signed text is everything else in the manifest, its id included. */
function hmac(manifest: object, key: string): Buffer {
  return createHmac('sha256', key).update(JSON.stringify(manifest)).digest();
}

/**
 * @param text a manifest as JSON
 * @param key undefined: it is left as it is
 * @returns the same with a signature: HMAC-SHA256 (RFC 2104) in hexadecimal
 */
export function sign(text: string, key: string | undefined): string {
  if (key === undefined) return text;
  const { signature: _, ...manifest } = JSON.parse(text);
  return JSON.stringify({ ...manifest, signature: hmac(manifest, key).toString('hex') }, null, 2) + '\n';
}

/**
 * Checks the signature of a manifest against each key, in constant time.
 * @param text the manifest as JSON, which {@link parseManifest} has read
 * @param keys none: nothing can be checked
 */
export function signatureProblem(text: string, keys: string[]): SignatureProblem | undefined {
  if (keys.length === 0) return undefined;
  const { signature, ...manifest } = JSON.parse(text);
  if (signature === undefined) return 'not signed';
  const given = Buffer.from(String(signature), 'hex');
  const isOf = (key: string) => {
    const expected = hmac(manifest, key);
    return given.length === expected.length && timingSafeEqual(given, expected);
  };
  return keys.some(isOf) ? undefined : 'wrong signature';
}

/** @returns whether a manifest has a signature, of whatever key */
export function isSigned(text: string): boolean {
  return JSON.parse(text).signature !== undefined;
}

/** @returns why a source is not trusted, as a sentence for its operator; nothing for one that is */
export function distrust(foreign: SignatureProblem | undefined): { foreign?: string } {
  if (!foreign) return {};
  const what = foreign === 'not signed' ? 'this backup is not signed' : 'this backup has a wrong signature';
  return { foreign: `${what}: anyone who can write to its place could have made it` };
}
