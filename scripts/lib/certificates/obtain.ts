/** The way of a certificate from the authority to visitors. */
import type { X509Certificate } from 'node:crypto';
import type { Config } from '../config/config.ts';
import { OperationalError, verificationError } from '../core/errors.ts';
import { utc } from '../core/format.ts';
import { log } from '../core/log.ts';
import { containerOf, inspect } from '../docker/containers.ts';
import { inNginx, testNginx } from '../nginx/reload.ts';
import { refuseOutdatedSettings } from '../nginx/settings.ts';
import { type Request, runCertbot } from './certbot.ts';
import { isTemporary, nameOf, namesOf, parseChain, serialOf, trustedRoots } from './chain.ts';
import { missingNames, problemsOf } from './check.ts';
import { install, loadUnloaded } from './install.ts';
import { copyIssued, readIssued } from './issued.ts';
import { renewalOf } from './renewal.ts';
import { readInPlace } from './served.ts';
import { CERTIFICATES, pairOf, selfSigned } from './volume.ts';

/** What a run has come to. */
export interface Outcome {
  /** Whether another certificate is served than before. */
  changed: boolean;
  text: string;
  /** The one that is in place. */
  leaf?: X509Certificate | undefined;
}

/** @returns the image of Nginx, which must run. @throws OperationalError when it does not, or can't be reloaded */
async function runningNginx(config: Config): Promise<string> {
  const nginx = await inspect(config, 'nginx');
  if (nginx?.state !== 'running')
    throw new OperationalError(
      `${containerOf(config, 'nginx')} is not running: nobody could answer the authority`,
      'start it with `docker compose up -d --wait`; without a certificate, it makes a self-signed one.',
    );
  await testNginx(config);
  await refuseOutdatedSettings(config);
  return nginx.imageId;
}

/**
 * Requests a certificate where none was issued yet, or the present one is due or for other names; checks it; puts it in
 * place. certbot decides what is due.
 *
 * @param renewal nothing is requested unless one was issued before
 * @throws OperationalError when the authority refuses; with exit code 3 when the certificate is refused here, or is not served
 */
export async function obtain(config: Config, request: Request & { renewal: boolean }): Promise<Outcome> {
  const image = await runningNginx(config);
  const roots = trustedRoots(config.acme.caFile);
  await loadUnloaded(config, roots);
  const before = await readInPlace(config);
  const issued = await readIssued(config, image);
  if (request.renewal) {
    if (!issued) return { changed: false, text: NOTHING, leaf: before[0] };
    const foreign = longerLived(config, before, issued.fullchain);
    if (foreign) return { changed: false, text: foreign, leaf: before[0] };
  }
  await runCertbot(config, request);
  if (request.dryRun)
    return { changed: false, text: 'the authority would issue a certificate', leaf: before[0] };
  const { fullchain, publicKey } = (await readIssued(config, image))!;
  const [leaf] = parseChain(fullchain);
  if (leaf && leaf.fingerprint256 === before[0]?.fingerprint256)
    return { changed: false, text: `not due; ${describe(leaf)}`, leaf };
  // One of certbot's own may be followed by a shorter one: authorities shorten lifetimes, and a revoked one must go.
  const isOwn = before[0]?.fingerprint256 === parseChain(issued?.fullchain ?? '')[0]?.fingerprint256;
  const inPlace = request.force || isOwn ? [] : before;
  const wanted = { names: config.site.names, roots, now: new Date(), inPlace };
  const problems = problemsOf(fullchain, publicKey, wanted);
  if (problems.length > 0)
    throw verificationError(
      `the new certificate is refused: ${problems.join('; ')}`,
      'the one in place is served on. `./scripts/certificates.ts issue --force` requests another one.',
    );
  log.done(`checked: ${describe(leaf!)}`);
  await copyIssued(config, image, pairOf(fullchain));
  await install(config, pairOf(fullchain), leaf!, roots);
  return { changed: true, text: describe(leaf!), leaf };
}

const NOTHING =
  'nothing to renew: no certificate was issued here yet; `./scripts/certificates.ts issue` requests the first';

/** A certificate of another origin is not replaced by a schedule, also where only Cloudflare trusts it. */
function longerLived({ site }: Config, inPlace: X509Certificate[], issued: string): string | undefined {
  const [present] = inPlace;
  const [own] = parseChain(issued);
  if (!present || !own || present.fingerprint256 === own.fingerprint256) return undefined;
  if (present.validToDate <= own.validToDate || present.validToDate <= new Date()) return undefined;
  if (isTemporary(present) || missingNames(present, site.names).length > 0) return undefined;
  return `nothing is renewed: the certificate in place is of another origin and ends later, ${utc(present.validToDate)}`;
}

/** Puts a self-signed certificate in place, as Nginx has on its first start. @throws OperationalError as {@link install} */
export async function installSelfSigned(config: Config): Promise<Outcome> {
  await runningNginx(config);
  await loadUnloaded(config, trustedRoots(config.acme.caFile));
  const text = await inNginx(config, selfSigned(CERTIFICATES), 'make a self-signed certificate');
  const [leaf] = parseChain(text.slice(text.indexOf('\n')));
  const pair = text.slice(0, text.indexOf('\n'));
  await install(config, pair, leaf!, undefined);
  return { changed: true, text: describe(leaf!), leaf };
}

/** @returns a certificate in a line */
export function describe(leaf: X509Certificate): string {
  const next = renewalOf(leaf);
  return `${namesOf(leaf).join(', ')}, by ${nameOf(leaf.issuer)}, serial ${serialOf(leaf)}, valid to ${utc(leaf.validToDate)}, renewed from ${utc(next)} on`;
}
