import type { Config } from '../../config/config.ts';
import { OperationalError } from '../../core/errors.ts';
import { containerOf, projectOf } from '../../docker/containers.ts';
import { type Instances, instances } from '../../nginx/upstreams.ts';
import { type Check, type Finding, NotConfigured } from '../check.ts';
import { type Containers, stateOf } from '../docker.ts';
import { type Answer, ask, jsonOf } from '../http.ts';
import { once } from '../runner.ts';

/** The port of the application contract. */
const PORT = 3000;

/** One line for each instance that gets requests, asked without Nginx, and one for what they say of themselves. */
export function backends(config: Config, containers: Containers): Check[] {
  const get = async (name: string, path: string): Promise<Answer> => {
    const address = await addressOf(config, await containers(), name);
    const hint = `docker logs --tail 50 ${containerOf(config, name)}`;
    return ask({ address, port: PORT, path: `/api/v1/${path}`, hint });
  };
  const { serving, down } = inService();
  const asked = serving.map(name => ({ name, alive: once(() => get(name, 'health')) }));
  const lines = asked.map(({ name, alive }) => ({
    name,
    page: 'backend',
    run: async () => judge(...(await Promise.all([alive(), get(name, 'health/ready')]))),
  }));
  const idle = down.map(name => ({ name, page: 'backend', run: async () => IDLE }));
  return [...lines, ...idle, { name: 'versions', run: () => compare(asked) }];
}

const IDLE: Finding = {
  status: 'warning',
  message: 'gets no requests: it is marked down in nginx/upstreams/backend.conf',
  hint: 'a deployment that was stopped has left it out; the next deploy.ts or rollback.ts replaces it.',
};

/** Where the list can't be read, the line on versions says so. */
function inService(): Instances {
  try {
    return instances();
  } catch {
    return { serving: [], down: [] };
  }
}

async function addressOf(config: Config, containers: Awaited<ReturnType<Containers>>, name: string) {
  const found = containers.find(({ service }) => service === name);
  const up = `docker compose -f docker-compose.${config.environment}.yml --env-file .env.${config.environment} up -d --no-recreate ${name}`;
  if (!found)
    throw new OperationalError('there is no such container, and nginx/upstreams/backend.conf names it', up);
  if (found.state !== 'running') throw new OperationalError(`its container is ${stateOf(found)}`, up);
  const address = found.addresses[`${projectOf(config)}_app`];
  if (!address) throw new OperationalError('its container has no address in the network app', up);
  return address;
}

const versionOf = (answer: Answer) => String(jsonOf(answer).version ?? 'unknown');

function judge(health: Answer, ready: Answer): Finding {
  const measured = { value: Math.round(ready.ms), unit: 'ms' } as const;
  if (health.status !== 200)
    return { status: 'critical', message: `/api/v1/health answers ${health.status}`, ...measured };
  if (ready.status === 200)
    return { status: 'ok', message: `ready, version ${versionOf(health)}`, ...measured };
  return { status: 'critical', message: notReady(ready), ...measured };
}

/** What readiness says of itself, where it says it as the contract has it. */
export function notReady(answer: Answer): string {
  const { status, failed } = jsonOf(answer);
  const why = Array.isArray(failed) && failed.length > 0 ? failed.join(', ') : status;
  return `not ready: ${typeof why === 'string' ? `${why} (${answer.status})` : `it answers ${answer.status}`}`;
}

async function compare(asked: { name: string; alive: () => Promise<Answer> }[]): Promise<Finding> {
  // Throws what inService() keeps to itself.
  if (instances().serving.length === 0)
    throw new OperationalError(
      'nginx/upstreams/backend.conf names no instance: nobody serves the API',
      'put `server backend-1:3000 weight=1 max_fails=3 fail_timeout=0s route=backend-1 resolve;` back into it.',
    );
  const answers = await Promise.allSettled(asked.map(({ alive }) => alive()));
  const told = asked.flatMap(({ name }, index) => {
    const answer = answers[index]!;
    return answer.status === 'fulfilled' ? [{ name, version: versionOf(answer.value) }] : [];
  });
  const versions = [...new Set(told.map(({ version }) => version))];
  if (versions.length > 1) {
    const list = told.map(({ name, version }) => `${name} runs ${version}`).join(', ');
    return { status: 'warning', message: `the instances differ: ${list}` };
  }
  const nowhere = answers.find(each => each.status === 'rejected' && each.reason instanceof NotConfigured);
  if (nowhere?.status === 'rejected') throw nowhere.reason;
  if (versions.length === 0) return { status: 'unknown', message: 'no instance has said its version' };
  return { status: 'ok', message: `${told.length} of ${asked.length} run ${versions[0]}` };
}
