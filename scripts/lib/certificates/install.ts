/** Puts a certificate in place, and proves that it is served; else the one before is put back. */
import type { X509Certificate } from 'node:crypto';
import type { Config } from '../config/config.ts';
import { messageOf, OperationalError, operational, verificationError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { deferSignals } from '../core/signals.ts';
import { inNginx, reloadNginx, testNginx } from '../nginx/reload.ts';
import { serialOf } from './chain.ts';
import { assertServed, lookServed, readInPlace } from './served.ts';
import { CERTIFICATES, isLinked, loadable, removeOthers, switchBack, switchTo } from './volume.ts';

/**
 * @param pair a directory of the volume
 * @param roots PEM of those that it must lead to; undefined: it signs itself
 * @throws OperationalError with exit code 3 when it is not served; the one before is then back
 */
export async function install(
  config: Config,
  pair: string,
  leaf: X509Certificate,
  roots: string[] | undefined,
): Promise<void> {
  const purpose = 'have Nginx load the new certificate';
  await inNginx(config, loadable(CERTIFICATES, pair), purpose, { hint: 'the one in place stays.' });
  log.changesBegin();
  await deferSignals(async () => {
    await inNginx(config, switchTo(CERTIFICATES, pair), 'put the new certificate in place');
    try {
      await load(config, leaf, roots);
    } catch (thrown) {
      const error = operational(thrown);
      if (!(error instanceof OperationalError)) throw thrown;
      await putBack(config, error);
    }
    await inNginx(config, removeOthers(CERTIFICATES), 'remove earlier certificates');
  });
  log.done(`served: serial ${serialOf(leaf)}`);
}

/**
 * Loads a certificate that a killed run has put in place, if Nginx does not serve it yet. Two files that an operator has
 * copied there are the operator's to load. Nothing is put back: it was checked before it was put in place, and what is shown
 * may be of another server that has this port.
 *
 * @throws OperationalError with exit code 3 when it is not served
 */
export async function loadUnloaded(config: Config, roots: string[]): Promise<void> {
  const [leaf] = await readInPlace(config);
  if (!leaf) return;
  const served = await lookServed(config, roots);
  if (served.every(({ certificate }) => certificate.fingerprint256 === leaf.fingerprint256)) return;
  if ((await inNginx(config, isLinked(CERTIFICATES), 'look at the certificate in place')) !== 'linked') {
    log.warn('Nginx serves another certificate than the two files in its volume: reload it to load them');
    return;
  }
  log.info(
    `serial ${serialOf(leaf)} is in place and not served: an earlier run was killed; Nginx loads it now`,
  );
  try {
    await deferSignals(() => load(config, leaf, undefined));
  } catch (thrown) {
    const error = operational(thrown);
    if (!(error instanceof OperationalError)) throw thrown;
    const hint = `check that HTTPS_PORT is the port of this Nginx; ${error.hint}`;
    throw verificationError(`the certificate in place is not served: ${error.message}`, hint);
  }
}

async function load(config: Config, leaf: X509Certificate, roots: string[] | undefined): Promise<void> {
  await testNginx(config);
  await reloadNginx(config);
  await assertServed(config, leaf, roots);
}

async function putBack(config: Config, why: OperationalError): Promise<never> {
  const again = 'Then `./scripts/certificates.ts renew` tries again.';
  const hint = `${why.hint} ${again}`;
  try {
    const pair = await inNginx(config, switchBack(CERTIFICATES), 'put the previous certificate back');
    if (pair === '') throw new OperationalError('there is no previous one', hint);
    const [leaf] = await readInPlace(config);
    if (!leaf) throw new OperationalError('it can’t be read', hint);
    await load(config, leaf, undefined);
  } catch (error) {
    throw verificationError(
      `${why.message}; the previous certificate could not be put back: ${messageOf(error)}`,
      hint,
    );
  }
  throw verificationError(`${why.message}; the previous certificate is served again`, hint);
}
