/** Why certbot issued no certificate, and what to do. */
import { OperationalError } from '../core/errors.ts';

const HINTS: [pattern: RegExp, hint: string][] = [
  [
    /rateLimited|too many/i,
    'wait until the time that it names; `./scripts/certificates.ts status` shows how long the present certificate is valid. Do not repeat it before: each attempt counts.',
  ],
  [
    /Type: *(dns|caa)|NXDOMAIN|DNS problem/i,
    'correct the DNS records: each name of DOMAIN and API_DOMAIN must lead to this server, also www.',
  ],
  [
    /Type: *(unauthorized|connection)|Invalid response|Timeout during connect/i,
    'the name leads to another server, or port 80 of this one is not reached: http://NAME/.well-known/acme-challenge/ must be answered by this Nginx.',
  ],
  [
    /CERTIFICATE_VERIFY_FAILED/,
    'the authority’s directory has a certificate that is not trusted: correct ACME_DIRECTORY_URL, or set ACME_CA_FILE.',
  ],
  [
    /malformed|rejectedIdentifier|blocklist|forbid/i,
    'correct DOMAIN and API_DOMAIN: the authority issues none for such a name.',
  ],
  [
    /ConnectionError|Max retries|timed? ?out|Temporary failure|Connection refused|50[0-9] Server|ServerError|serverInternal/i,
    'the authority can’t be reached or has a fault: the next scheduled renewal tries again. Check ACME_DIRECTORY_URL and the network if it lasts.',
  ],
];

/** @returns the error that an operator reads, of all that certbot wrote */
export function refusal(output: string): OperationalError {
  const refused = [...output.matchAll(/(?:Identifier|Domain): (.*)\n\s*Type: +(.*)\n\s*Detail: (.*)/g)].map(
    ([, domain, type, detail]) => `${domain}: ${type}: ${detail}`,
  );
  const lines = output
    .split('\n')
    .map(line => line.trim())
    .filter(Boolean);
  const after = lines[lines.findIndex(line => /^An unexpected error occurred/.test(line)) + 1];
  const isNoise = (line = '') =>
    /^(Ask for help|See the logfile|Saving debug log|Some challenges)/.test(line);
  const why =
    refused.length > 0
      ? refused.join('; ')
      : [after, ...lines.toReversed()].find(line => line && !isNoise(line));
  const hint = HINTS.find(([pattern]) => pattern.test(output))?.[1];
  return new OperationalError(
    `no certificate was issued: ${why ?? 'certbot gave no reason'}`,
    hint ?? 'the log has all that certbot wrote: logs/certificates.log.',
  );
}
