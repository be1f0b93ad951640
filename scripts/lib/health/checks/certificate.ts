import { X509Certificate } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import { messageOf } from '../../core/errors.ts';
import { duration } from '../../core/format.ts';
import { containerOf } from '../../docker/containers.ts';
import { type Check, grade, NotConfigured, type Remark, summarize } from '../check.ts';
import { docker } from '../docker.ts';
import { certificateOf } from '../http.ts';

/** Percent of the lifetime, because the lifetimes of certificates differ and get shorter. */
const REMAINING = { warning: 25, critical: 10 };

const RENEWAL =
  '`./scripts/certificates.ts status` shows the next renewal; logs/certificates.log says why one failed.';
const FOR_ALL_NAMES =
  '`./scripts/certificates.ts issue` requests one for DOMAIN, www.<DOMAIN> and API_DOMAIN.';

interface Served {
  name: string;
  certificate: X509Certificate;
  distrust?: string;
}

/** The certificate that Nginx shows for each name, and whether it is the one in the volume. */
export const certificate = (config: Config): Check => ({
  name: 'certificate',
  run: async () => {
    const { names } = config.site;
    const [served, file] = await Promise.all([
      Promise.all(names.map(name => look(config, name))),
      fileOf(config),
    ]);
    const distinct = served.filter(
      ({ certificate: { fingerprint256 } }, index) =>
        served.findIndex(other => other.certificate.fingerprint256 === fingerprint256) === index,
    );
    const now = Date.now();
    const remarks = [
      ...served.flatMap(checkName),
      ...distinct.flatMap(each => [
        ...checkDates(each, now),
        ...checkTrust(each),
        ...compareWithFile(each, file),
      ]),
    ];
    const left = Math.min(...distinct.map(each => remaining(each, now)));
    const hint = served.some(each => checkName(each).length > 0) ? FOR_ALL_NAMES : RENEWAL;
    const finding = summarize(remarks);
    const advice = finding.status === 'ok' ? {} : { hint };
    return { ...finding, ...advice, value: left, unit: '%', thresholds: REMAINING };
  },
});

async function look(config: Config, name: string): Promise<Served> {
  const hint = `docker logs --tail 50 ${containerOf(config, 'nginx')}`;
  return {
    name,
    ...(await certificateOf({ address: '127.0.0.1', port: config.httpsPort, host: name, hint })),
  };
}

/** @returns the fingerprint of the certificate in the volume, or why it can't be read; neither without Docker */
async function fileOf(config: Config): Promise<{ fingerprint?: string; problem?: string }> {
  const path = '/etc/nginx/certificates/fullchain.pem';
  try {
    const text = await docker(config, ['exec', containerOf(config, 'nginx'), 'cat', path]);
    return { fingerprint: new X509Certificate(text).fingerprint256 };
  } catch (error) {
    if (error instanceof NotConfigured) return {};
    return { problem: `fullchain.pem in the volume can't be read: ${messageOf(error)}` };
  }
}

function checkName({ name, certificate: served }: Served): Remark[] {
  return served.checkHost(name) ? [] : [['critical', `it is not for ${name}`]];
}

/** @returns percent of the lifetime that is left; negative after its end */
function remaining({ certificate: { validFrom, validTo } }: Served, now: number): number {
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  return Math.floor(((to - now) / (to - from)) * 100);
}

function checkDates(served: Served, now: number): Remark[] {
  const { validFrom, validTo } = served.certificate;
  const seconds = (Date.parse(validTo) - now) / 1000;
  if (seconds <= 0) return [['critical', `it expired ${duration(-seconds)} ago`]];
  if (Date.parse(validFrom) > now) return [['critical', `it is not valid before ${validFrom}`]];
  const left = remaining(served, now);
  const status = grade(left, REMAINING);
  return [
    [status, `valid for ${duration(seconds)} more${status === 'ok' ? '' : `, ${left} % of its lifetime`}`],
  ];
}

function checkTrust({ distrust, certificate: { issuer } }: Served): Remark[] {
  if (distrust === undefined || distrust === 'CERT_HAS_EXPIRED' || distrust === 'CERT_NOT_YET_VALID')
    return [['ok', `issued by ${/^O=(.*)$/m.exec(issuer)?.[1] ?? issuer.replaceAll('\n', ', ')}`]];
  if (distrust === 'DEPTH_ZERO_SELF_SIGNED_CERT')
    return [['warning', 'it is self-signed: the temporary one, until the first is issued']];
  return [['warning', `it is not signed by a trusted authority: ${distrust}`]];
}

function compareWithFile(
  { certificate: served }: Served,
  { fingerprint, problem }: Awaited<ReturnType<typeof fileOf>>,
): Remark[] {
  if (problem) return [['warning', problem]];
  if (fingerprint === undefined || fingerprint === served.fingerprint256) return [];
  return [['warning', 'Nginx shows another certificate than fullchain.pem in its volume: reload Nginx']];
}
