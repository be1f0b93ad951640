/** What a server keeps of a password: https://www.rfc-editor.org/rfc/rfc5803 */
import { createHmac, hash, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';

/** PostgreSQL's own number, for a password that someone chose. */
export const ITERATIONS = 4096;

/**
 * A statement with this in it, and the server's log of it, hold no password.
 *
 * @param iterations 1 is enough for a password with 192 bits of chance in it
 */
export function verifierOf(password: string, iterations = ITERATIONS, salt = randomBytes(16)): string {
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const keyOf = (text: string) => createHmac('sha256', salted).update(text).digest();
  const stored = hash('sha256', keyOf('Client Key'), 'base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${stored}:${keyOf('Server Key').toString('base64')}`;
}

/** @returns whether a server that has this verifier takes this password; false for one of another kind, such as md5 */
export function accepts(verifier: string | null, password: string): boolean {
  const [, iterations, salt] = /^SCRAM-SHA-256\$(\d{1,7}):([\w+/=]+)\$/.exec(verifier ?? '') ?? [];
  if (!iterations || !salt) return false;
  const expected = Buffer.from(verifierOf(password, Number(iterations), Buffer.from(salt, 'base64')));
  const actual = Buffer.from(verifier!);
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}
