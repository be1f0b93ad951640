import type { Config } from '../../config/config.ts';
import { OperationalError } from '../../core/errors.ts';
import { bytes } from '../../core/format.ts';
import { containerOf } from '../../docker/containers.ts';
import { type Check, type Finding, grade, NotConfigured, type Remark, summarize } from '../check.ts';
import { docker } from '../docker.ts';

const MEMORY = { warning: 80, critical: 95 };

/** Asks Redis for its state, with the password of the application. */
export const redis = (config: Config): Check => ({
  name: 'redis',
  run: async () => {
    if (!config.redisPassword) throw new NotConfigured('REDIS_PASSWORD is empty');
    const container = containerOf(config, 'redis');
    const ask = ['exec', '-e', 'REDISCLI_AUTH', container, 'redis-cli', '-h', '127.0.0.1', 'INFO'];
    const text = await docker(config, ask, { REDISCLI_AUTH: config.redisPassword });
    const info = parseInfo(text);
    if (info.has('redis_version')) return assessRedis(info);
    const reply = text.trim().split('\n')[0] ?? '';
    throw new OperationalError(
      `INFO failed: ${/NOAUTH|WRONGPASS/.test(reply) ? 'REDIS_PASSWORD is not its password' : reply}`,
      'a container keeps the password with which it was created: recreate it after a change.',
    );
  },
});

/** @returns the fields of the reply to INFO: https://redis.io/docs/latest/commands/info/ */
export function parseInfo(text: string): Map<string, string> {
  const lines = text.split(/\r?\n/).map(line => /^(\w+):(.*)$/.exec(line));
  return new Map(lines.flatMap(match => (match ? [[match[1]!, match[2]!]] : [])));
}

/** @returns the finding on the fields of {@link parseInfo} */
export function assessRedis(info: Map<string, string>): Finding {
  const [used, limit] = [Number(info.get('used_memory')), Number(info.get('maxmemory'))];
  const percent = limit > 0 ? Math.round((used / limit) * 100) : undefined;
  const memory = percent === undefined ? 'warning' : grade(percent, MEMORY);
  const failed = (field: string, what: string): Remark[] =>
    (info.get(field) ?? 'ok') === 'ok' ? [] : [['critical', `${what} fails: what is queued is not on disk`]];
  const remarks: Remark[] = [
    ...failed('rdb_last_bgsave_status', 'saving a snapshot'),
    ...failed('aof_last_write_status', 'writing the append-only file'),
    ...(info.get('loading') === '1' ? ([['warning', 'it is loading its data']] as Remark[]) : []),
    info.get('role') === 'master' ? ['ok', 'primary'] : ['warning', 'it is a replica and takes no writes'],
    [memory, limit > 0 ? `${bytes(used)} of ${bytes(limit)} used` : 'it has no memory limit'],
    ['ok', `Redis ${info.get('redis_version')}`],
  ];
  return { ...summarize(remarks), value: percent, unit: '%', thresholds: MEMORY };
}
