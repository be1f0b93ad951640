import type { Config, S3Settings } from '../../config/config.ts';
import { messageOf } from '../../core/errors.ts';
import { duration } from '../../core/format.ts';
import { hasProgram, sh } from '../../core/shell.ts';
import { type Check, grade, NotConfigured, type Remark, summarize } from '../check.ts';
import { COMMAND_SECONDS } from '../docker.ts';
import { ask } from '../http.ts';

/** Seconds. S3 refuses requests whose time is off by more than 900. */
const OFFSET = { warning: 30, critical: 300 };

/** Whether this machine's clock is synchronised, and agrees with that of S3. */
export const clock = (config: Config): Check => ({
  name: 'clock',
  run: async () => {
    const [synchronised, offset] = await Promise.all([
      isSynchronised(),
      config.s3 ? offsetTo(config.s3).catch(messageOf) : undefined,
    ]);
    if (synchronised === undefined && offset === undefined)
      throw new NotConfigured('nothing to compare with: install systemd-timesyncd or chrony');
    const remarks: Remark[] = [];
    if (synchronised === true) remarks.push(['ok', 'synchronised']);
    if (synchronised === false) remarks.push(['warning', 'it is not synchronised: see `timedatectl status`']);
    if (typeof offset === 'number') remarks.push(remarkOn(offset));
    else if (synchronised === undefined) remarks.push(['unknown', `the time of S3 is unknown: ${offset}`]);
    const measured = typeof offset === 'number' ? Math.round(Math.abs(offset)) : undefined;
    return { ...summarize(remarks), value: measured, unit: 's', thresholds: OFFSET };
  },
});

function remarkOn(offset: number): Remark {
  const status = grade(Math.abs(offset), OFFSET);
  if (status === 'ok') return ['ok', 'it agrees with that of S3'];
  return [status, `it is ${duration(Math.abs(offset))} ${offset > 0 ? 'behind' : 'ahead of'} that of S3`];
}

/** @returns undefined where systemd does not run */
async function isSynchronised(): Promise<boolean | undefined> {
  if (!hasProgram('timedatectl')) return undefined;
  const look = sh('look at the clock', { timeout: COMMAND_SECONDS });
  try {
    return (await look`timedatectl show --property=NTPSynchronized --value`) === 'yes';
  } catch {
    return undefined;
  }
}

/** @returns seconds that this clock is behind that of S3, from the Date header, which any answer has, in whole seconds */
async function offsetTo({ endpoint, region }: S3Settings): Promise<number> {
  const { protocol, hostname, port } = new URL(endpoint ?? `https://s3.${region}.amazonaws.com`);
  const tls = protocol === 'https:';
  const sent = Date.now();
  const { headers } = await ask({
    address: hostname,
    port: Number(port) || (tls ? 443 : 80),
    path: '/',
    method: 'HEAD',
    tls,
    hint: 'check S3_ENDPOINT and the network.',
  });
  const there = Date.parse(headers.date ?? '');
  if (Number.isNaN(there)) throw new Error('its answer has no Date header');
  return (there + 500 - (sent + Date.now()) / 2) / 1000;
}
