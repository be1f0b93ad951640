/** Whether a certificate can take the place of the one that is served. */
import { createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { utc } from '../core/format.ts';
import { distrustOf, parseChain } from './chain.ts';

/** What a certificate is to be good for. */
export interface Wanted {
  /** All names that are served. */
  names: string[];
  /** PEM: see `trustedRoots`. */
  roots: string[];
  now: Date;
  /** The chain in place, of another origin: a trusted one is not replaced by one that ends earlier. Undefined: none such. */
  inPlace?: X509Certificate[] | undefined;
}

/** Extended key usage of servers: https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.12 */
const SERVER = '1.3.6.1.5.5.7.3.1';
/** Bits, of RSA: https://cabforum.org/working-groups/server/baseline-requirements/requirements/ (6.1.5) */
const LEAST_RSA = 2048;

/**
 * @param fullchain PEM, the certificate of the server first
 * @param publicKey PEM of the public half of its private key, which itself stays where it is
 * @returns all that is wrong with it; none: it can be served
 */
export function problemsOf(fullchain: string, publicKey: string, wanted: Wanted): string[] {
  const chain = parseChain(fullchain);
  const [leaf] = chain;
  if (!leaf) return ['the file has no whole certificate'];
  return [
    ...nameProblems(leaf, wanted.names),
    ...keyProblems(leaf, publicKey),
    ...dateProblems(leaf, wanted.now),
    ...useProblems(leaf),
    ...chainProblems(chain, wanted),
    ...lifetimeProblems(leaf, wanted),
  ];
}

/** @returns the names that a certificate is not for */
export const missingNames = (leaf: X509Certificate, names: string[]): string[] =>
  names.filter(name => !leaf.checkHost(name, { subject: 'never' }));

function nameProblems(leaf: X509Certificate, names: string[]): string[] {
  const missing = missingNames(leaf, names);
  return missing.length > 0 ? [`it is not for ${missing.join(', ')}`] : [];
}

function keyProblems(leaf: X509Certificate, publicKey: string): string[] {
  const key = readKey(publicKey);
  if (!key) return ['its private key can’t be read'];
  if (!key.equals(leaf.publicKey)) return ['the private key is not of this certificate'];
  const { modulusLength } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa' && (modulusLength ?? 0) < LEAST_RSA)
    return [`its key has ${modulusLength} bits, ${LEAST_RSA} at least are needed`];
  return [];
}

function readKey(pem: string): KeyObject | undefined {
  try {
    return createPublicKey(pem);
  } catch {
    return undefined;
  }
}

function dateProblems({ validFromDate, validToDate }: X509Certificate, now: Date): string[] {
  if (validToDate <= now) return [`it expired ${utc(validToDate)}`];
  return validFromDate > now ? [`it is not valid before ${utc(validFromDate)}`] : [];
}

function useProblems({ ca, keyUsage }: X509Certificate): string[] {
  if (ca) return ['it is a certificate of an authority, not of a server'];
  return keyUsage && !keyUsage.includes(SERVER) ? ['it is not for servers (extended key usage)'] : [];
}

function chainProblems(chain: X509Certificate[], { roots, now }: Wanted): string[] {
  const why = distrustOf(chain, roots, now);
  return why ? [why] : [];
}

/** One that is refused by clients today is no reason to keep it. */
function lifetimeProblems(leaf: X509Certificate, { names, roots, now, inPlace }: Wanted): string[] {
  const [before] = inPlace ?? [];
  if (!before || before.validToDate <= leaf.validToDate) return [];
  if (missingNames(before, names).length > 0 || distrustOf(inPlace!, roots, now)) return [];
  return [`it ends ${utc(leaf.validToDate)}, before the one in place (${utc(before.validToDate)})`];
}
