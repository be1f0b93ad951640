import type { X509Certificate } from 'node:crypto';
import type { Config } from '../config/config.ts';
import { duration, utc } from '../core/format.ts';
import { attempt } from '../core/signals.ts';
import { readOutdatedSettings, UPDATE_SETTINGS } from '../nginx/settings.ts';
import { distrustOf, isTemporary, nameOf, namesOf, serialOf, trustedRoots } from './chain.ts';
import { missingNames } from './check.ts';
import { hasAccount } from './issued.ts';
import { renewalOf } from './renewal.ts';
import { lookServed, readInPlace } from './served.ts';

const DAY = 86_400_000;

/** What is known of the certificate. Without Docker, that is what visitors are shown. */
interface Known {
  /** Of the files in the volume; undefined: they could not be read. */
  inPlace?: X509Certificate[] | undefined;
  /** By name. */
  served: { name: string; certificate: X509Certificate; distrust?: string }[];
  /** Whether certbot has an account here, and so renews; undefined: unknown. */
  automatic?: boolean | undefined;
  /** Why something is not known. */
  unknown: string[];
}

/** Looks at the volume and at what Nginx serves, and changes nothing. */
export async function certificateStatus(config: Config, now = new Date()) {
  const roots = trustedRoots(config.acme.caFile);
  const [inPlace, served, account, outdated] = await Promise.all([
    attempt(() => readInPlace(config)),
    attempt(() => lookServed(config, roots)),
    attempt(() => hasAccount(config)),
    attempt(() => readOutdatedSettings(config)),
  ]);
  // Nginx refuses names that it does not know yet: that it shows no certificate for them is no other problem.
  const notServed = outdated.value
    ? `${outdated.value}; load them: \`${UPDATE_SETTINGS}\``
    : served.problem?.message;
  const unknown = [inPlace.problem?.message, notServed].filter(each => each !== undefined);
  const known = { inPlace: inPlace.value, served: served.value ?? [], automatic: account.value, unknown };
  return statusOf(config, known, roots, now);
}

/** @returns the report on what is known, and all that is wrong */
export function statusOf(config: Config, known: Known, roots: string[], now: Date) {
  const { inPlace, served, automatic, unknown } = known;
  const leaf = inPlace?.[0] ?? served[0]?.certificate;
  const problems = [
    ...unknown,
    ...(inPlace?.length === 0 ? ['the volume has no certificate'] : []),
    ...(leaf ? problemsWith(leaf, config.site.names, now) : []),
    ...(leaf && isTemporary(leaf)
      ? ['it is the temporary one: `./scripts/certificates.ts issue` requests one']
      : []),
    ...(inPlace?.[0] && !isTemporary(inPlace[0]) ? distrusted(inPlace, roots, now) : []),
    ...served.flatMap(({ name, certificate }) =>
      leaf && certificate.fingerprint256 !== leaf.fingerprint256
        ? [`${name} is served with serial ${serialOf(certificate)}, which is not the one in the volume`]
        : [],
    ),
  ];
  const isOff = config.schedule.certificates === 'off';
  const renewal = leaf && automatic && !isOff ? renewalOf(leaf) : undefined;
  const json = {
    ...(leaf && {
      names: namesOf(leaf),
      issuer: nameOf(leaf.issuer),
      serial: serialOf(leaf),
      validFrom: leaf.validFromDate.toISOString(),
      validTo: leaf.validToDate.toISOString(),
      daysLeft: Math.floor((leaf.validToDate.getTime() - now.getTime()) / DAY),
    }),
    /** Null: nothing renews it, or that is not known. */
    nextRenewal: renewal?.toISOString() ?? null,
    served: served.map(({ name, certificate }) => ({ name, serial: serialOf(certificate) })),
    problems,
  };
  return {
    text: leaf ? textOf(leaf, { ...known, isOff, renewal, problems }, now) : problems.join('\n'),
    json,
  };
}

function problemsWith(leaf: X509Certificate, names: string[], now: Date): string[] {
  const missing = missingNames(leaf, names);
  return [
    ...(missing.length > 0
      ? [
          `it is not for ${missing.join(', ')}: \`./scripts/certificates.ts issue\` requests one for all names`,
        ]
      : []),
    ...(leaf.validToDate <= now ? ['it has expired'] : []),
    ...(leaf.validFromDate > now ? ['it is not valid yet'] : []),
  ];
}

function distrusted(chain: X509Certificate[], roots: string[], now: Date): string[] {
  const why = distrustOf(chain, roots, now);
  return why ? [why] : [];
}

function textOf(
  leaf: X509Certificate,
  {
    served,
    automatic,
    isOff,
    renewal,
    problems,
  }: Known & { isOff: boolean; renewal: Date | undefined; problems: string[] },
  now: Date,
): string {
  const left = (leaf.validToDate.getTime() - now.getTime()) / 1000;
  const serials = [...new Set(served.map(({ certificate }) => serialOf(certificate)))];
  const next = renewal
    ? `${utc(renewal)}, or earlier if the authority asks for it`
    : automatic === false
      ? 'none: no certificate was issued here: `./scripts/certificates.ts issue`'
      : isOff
        ? 'none: SCHEDULE_CERTIFICATES is off'
        : 'not known without Docker';
  const rows = [
    ['names', namesOf(leaf).join(', ')],
    ['issuer', nameOf(leaf.issuer)],
    ['serial', serialOf(leaf)],
    ['valid', `${utc(leaf.validFromDate)} to ${utc(leaf.validToDate)}`],
    ['left', left > 0 ? duration(left) : `expired ${duration(-left)} ago`],
    ['next renewal', next],
    ['served serial', serials.join(', ') || 'nothing is served'],
  ];
  const lines = rows.map(([title, value]) => `${title!.padEnd(15)}${value}`);
  return [...lines, '', ...(problems.length > 0 ? problems : ['it is served for every name'])].join('\n');
}
