/** The certificate that Nginx has in its volume, and the one that it serves. */
import type { X509Certificate } from 'node:crypto';
import type { Config } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { sleep } from '../core/signals.ts';
import { containerOf } from '../docker/containers.ts';
import { certificateOf } from '../health/http.ts';
import { inNginx } from '../nginx/reload.ts';
import { parseChain, serialOf } from './chain.ts';
import { CERTIFICATES } from './volume.ts';

/** @returns the chain of the files that Nginx reads; none where there is no whole one. @throws CommandError without Nginx */
export async function readInPlace(config: Config): Promise<X509Certificate[]> {
  const look = `cat ${CERTIFICATES}/fullchain.pem 2>/dev/null || true`;
  return parseChain(await inNginx(config, look, 'read the certificate in place'));
}

/** What a visitor of a name is shown. */
export interface Served {
  name: string;
  certificate: X509Certificate;
  /** Why it is not trusted. */
  distrust?: string;
}

/** Attempts to connect: a busy server may be late once. */
const ATTEMPTS = 3;

/**
 * @param roots PEM of those that are trusted
 * @returns what a visitor of each name is shown
 * @throws OperationalError when this server's Nginx shows none
 */
export function lookServed(config: Config, roots: string[]): Promise<Served[]> {
  return Promise.all(config.site.names.map(name => look(config, name, roots)));
}

async function look(config: Config, name: string, roots: string[], attempt = 1): Promise<Served> {
  const hint = `docker logs --tail 50 ${containerOf(config, 'nginx')}`;
  const server = { address: '127.0.0.1', port: config.httpsPort, host: name, hint };
  try {
    return { name, ...(await certificateOf(server, roots)) };
  } catch (error) {
    if (attempt === ATTEMPTS) throw error;
    await sleep(1);
    return look(config, name, roots, attempt + 1);
  }
}

/**
 * Asks for each name in a handshake of its own. After a reload that has ended, all workers have loaded the same.
 *
 * @param roots PEM: that it leads to one of them; undefined: it signs itself
 * @throws OperationalError when a visitor is shown another certificate, or one that is not trusted
 */
export async function assertServed(
  config: Config,
  leaf: X509Certificate,
  roots: string[] | undefined,
): Promise<void> {
  const hint = `docker logs --tail 50 ${containerOf(config, 'nginx')} says what Nginx has loaded.`;
  for (const { name, certificate, distrust } of await lookServed(config, roots ?? [])) {
    if (certificate.fingerprint256 !== leaf.fingerprint256)
      throw new OperationalError(
        `${name} is served with serial ${serialOf(certificate)}, not with ${serialOf(leaf)}`,
        hint,
      );
    if (roots && distrust)
      throw new OperationalError(
        `clients refuse the certificate that is served for ${name}: ${distrust}`,
        hint,
      );
  }
}
