import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify<string, Buffer, number, Buffer>(scrypt);
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const hmac = (text: string, secret: string): string =>
  createHmac('sha256', secret).update(text).digest('base64url');

function equal(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** @returns a JSON Web Token (HS256) that names the user and expires after `seconds` */
export function signToken(userId: string, secret: string, seconds: number): string {
  const expires = Math.floor(Date.now() / 1000) + seconds;
  const body = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ sub: userId, exp: expires })}`;
  return `${body}.${hmac(body, secret)}`;
}

/**
 * @param previous a secret that is accepted as well
 * @returns the user that the token names, or undefined if it's forged or expired
 */
export function readToken(token: string, secret: string, previous?: string): string | undefined {
  const [header, payload, signature] = token.split('.');
  if (!header || !payload || !signature) return undefined;
  const isSigned = (key: string) => equal(signature, hmac(`${header}.${payload}`, key));
  if (!isSigned(secret) && !(previous && isSigned(previous))) return undefined;
  const { sub, exp } = JSON.parse(Buffer.from(payload, 'base64url').toString());
  return exp * 1000 > Date.now() ? sub : undefined;
}

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  return `${salt.toString('hex')}:${(await derive(password, salt, 32)).toString('hex')}`;
}

export async function passwordMatches(password: string, hash: string): Promise<boolean> {
  const [salt = '', key = ''] = hash.split(':');
  return equal((await derive(password, Buffer.from(salt, 'hex'), 32)).toString('hex'), key);
}
