import type { Config, S3Settings } from '../../config/config.ts';
import { messageOf } from '../../core/errors.ts';
import { duration } from '../../core/format.ts';
import { hasProgram, run } from '../../core/shell.ts';
import { type Check, grade, NotConfigured, type Remark, sum } from '../check.ts';
import { COMMAND_SECONDS } from '../docker.ts';
import { ask } from '../http.ts';

/** Seconds. A store refuses what is off by more than 900. */
const OFFSET = { warning: 30, critical: 300 };

/** Whether this machine keeps time: by its own word, and beside the store's clock. */
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
    if (synchronised === false)
      remarks.push(['warning', 'it is not synchronised: `timedatectl status` says more']);
    if (typeof offset === 'number') remarks.push(remarkOn(offset));
    else if (synchronised === undefined) remarks.push(['unknown', `S3 tells no time: ${offset}`]);
    const measured = typeof offset === 'number' ? Math.round(Math.abs(offset)) : undefined;
    return { ...sum(remarks), value: measured, unit: 's', thresholds: OFFSET };
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
  const show = ['timedatectl', 'show', '--property=NTPSynchronized', '--value'];
  try {
    return (await run(show, { purpose: 'look at the clock', timeout: COMMAND_SECONDS })).trim() === 'yes';
  } catch {
    return undefined;
  }
}

/** @returns seconds that this clock is behind the store's, whose word has no fractions; any answer has a date */
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
  if (Number.isNaN(there)) throw new Error('its answer has no date');
  return (there + 500 - (sent + Date.now()) / 2) / 1000;
}
