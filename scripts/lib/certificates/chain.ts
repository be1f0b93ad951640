/** A certificate with its chain, as `fullchain.pem` has it, and whether it leads to an authority that is trusted. */
import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { getCACertificates } from 'node:tls';
import { word } from '../core/command-line.ts';
import { messageOf, OperationalError } from '../core/errors.ts';

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * @param text PEM, the certificate of the server first
 * @returns its certificates; none where the text has none that can be read whole
 */
export function parseChain(text: string): X509Certificate[] {
  const blocks = text.match(BLOCK) ?? [];
  // A block that is cut has a beginning only.
  if (blocks.length !== text.split('-----BEGIN ').length - 1) return [];
  try {
    return blocks.map(block => new X509Certificate(block));
  } catch {
    return [];
  }
}

/**
 * @param caFile PEM with the roots of an authority that this system does not know
 * @returns the roots that browsers and this system trust, those of `NODE_EXTRA_CA_CERTS` and those of the file, as PEM
 * @throws OperationalError where the file has no certificate
 */
export function trustedRoots(caFile?: string): string[] {
  const known = getCACertificates('default');
  if (caFile === undefined) return known;
  const hint = 'set ACME_CA_FILE to a file with the authority’s root certificate in PEM.';
  let text: string;
  try {
    text = readFileSync(caFile, 'utf8');
  } catch (error) {
    throw new OperationalError(`ACME_CA_FILE can’t be read: ${messageOf(error)}`, hint);
  }
  // certbot reads it in a container, as a user without rights beyond everybody's.
  if (!(statSync(caFile).mode & 0o004))
    throw new OperationalError(
      `ACME_CA_FILE (${caFile}) can’t be read by everybody`,
      `chmod a+r ${word(caFile)}`,
    );
  if (parseChain(text).length === 0)
    throw new OperationalError(`ACME_CA_FILE (${caFile}) has no certificate`, hint);
  return [...known, ...text.match(BLOCK)!];
}

/** A self-signed certificate that stands in until one is issued: the subject that nginx/bootstrap-certificate.sh gives it. */
export const isTemporary = ({ subject }: X509Certificate): boolean => subject === 'CN=temporary certificate';

/** @returns what identifies a certificate, as `openssl x509 -serial` prints it */
export const serialOf = ({ serialNumber }: X509Certificate): string => serialNumber.toUpperCase();

/** @returns the names that a certificate is for */
export const namesOf = ({ subjectAltName = '' }: X509Certificate): string[] =>
  subjectAltName.split(', ').flatMap(each => (each.startsWith('DNS:') ? [each.slice(4)] : []));

const isDated = ({ validFromDate, validToDate }: X509Certificate, now: Date) =>
  validFromDate <= now && now < validToDate;

const isIssuedBy = (certificate: X509Certificate, issuer: X509Certificate) =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);

/**
 * Verifies each signature of a chain, in the order in which clients read it.
 *
 * @param roots PEM, as {@link trustedRoots} returns them
 * @returns why it leads to no trusted root; undefined: it does
 */
export function distrustOf(chain: X509Certificate[], roots: string[], now: Date): string | undefined {
  const trusted = roots.map(root => new X509Certificate(root));
  for (const [index, certificate] of chain.entries()) {
    const { subject, issuer } = certificate;
    if (index > 0 && !certificate.ca) return `${nameOf(subject)} in its chain is no authority`;
    if (index > 0 && !isDated(certificate, now)) return `${nameOf(subject)} in its chain is not valid now`;
    const root = trusted.find(each => each.subject === issuer && isIssuedBy(certificate, each));
    if (root && isDated(root, now)) return undefined;
    if (trusted.some(each => each.fingerprint256 === certificate.fingerprint256)) return undefined;
    const next = chain[index + 1];
    if (!next) return `its chain ends at ${nameOf(issuer)}, which is no trusted root`;
    if (!isIssuedBy(certificate, next))
      return `${nameOf(next.subject)} follows ${nameOf(subject)} in its chain, and has not issued it`;
  }
  return 'there is no certificate';
}

/** @returns the common name, or the organization, of a subject or issuer */
export function nameOf(subject: string | undefined): string {
  const of = (part: string) => new RegExp(`^${part}=(.*)$`, 'm').exec(subject ?? '')?.[1];
  return of('CN') ?? of('O') ?? (subject || 'a certificate without a name').replaceAll('\n', ', ');
}
