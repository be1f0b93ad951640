import type { Config } from '../../config/config.ts';
import { duration, plural } from '../../core/format.ts';
import { inspectVariables } from '../../docker/commands.ts';
import { type Container, containerOf } from '../../docker/containers.ts';
import { outdatedSettings, UPDATE_SETTINGS } from '../../nginx/settings.ts';
import { instances } from '../../nginx/upstreams.ts';
import { type Check, type Remark, type Status, summarize } from '../check.ts';
import { type Containers, docker, stateOf } from '../docker.ts';

/** Seconds for which a restart is reported. */
const RECENT = 3600;

/** Whether the containers of the stack are there, running and healthy. */
export const containers = (config: Config, list: Containers): Check => ({
  name: 'containers',
  run: async () => {
    const found = await list();
    const outdated = found.some(({ service }) => service === 'nginx') && (await outdatedIn(config));
    const required = requiredOf(config);
    const missing = required.filter(name => !found.some(({ service }) => service === name));
    const remarks: Remark[] = [
      ...missing.map((name): Remark => ['critical', `${name} has no container`]),
      ...found.flatMap(each => remarksOn(each, required.includes(each.service))),
      ...(outdated ? [['warning', outdated] satisfies Remark] : []),
      ['ok', `${plural(found.length, 'container')}, all running and healthy`],
    ];
    return { ...summarize(remarks), ...(outdated ? { hint: UPDATE_SETTINGS } : {}) };
  },
});

/** @returns what Nginx's container has otherwise than the configuration */
const outdatedIn = async (config: Config) =>
  outdatedSettings(config, await docker(config, inspectVariables(containerOf(config, 'nginx')).slice(1)));

/** The services that must run. */
function requiredOf(config: Config): string[] {
  return [
    'nginx',
    'frontend',
    ...instances().serving,
    ...(config.redisPassword ? ['redis'] : []),
    ...(config.postgres.container === containerOf(config, 'postgres') ? ['postgres'] : []),
  ];
}

function remarksOn(container: Container, required: boolean): Remark[] {
  const { service, state, health, restarts, startedAt } = container;
  const bad: Status = required ? 'critical' : 'warning';
  if (state !== 'running') {
    const again = state === 'restarting' ? ` after ${plural(restarts, 'restart')}` : '';
    return [[bad, `${service} is ${stateOf(container)}${again}`]];
  }
  const remarks: Remark[] = [];
  if (health === 'unhealthy') remarks.push([bad, `${service} is unhealthy`]);
  if (health === 'starting') remarks.push(['warning', `${service} is starting`]);
  const seconds = (Date.now() - startedAt.getTime()) / 1000;
  if (restarts > 0 && seconds < RECENT)
    remarks.push([
      'warning',
      `${service} has restarted ${restarts === 1 ? 'once' : `${restarts} times`}, last ${duration(seconds)} ago`,
    ]);
  return remarks;
}
