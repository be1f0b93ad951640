import type { Config } from '../../config/config.ts';
import { OperationalError } from '../../core/errors.ts';
import { containerOf, projectOf } from '../../docker/containers.ts';
import { type Instances, instances } from '../../nginx/upstreams.ts';
import { type Check, type Finding, NotConfigured } from '../check.ts';
import { type Containers, stateOf } from '../docker.ts';
import { type Answer, ask, jsonOf } from '../http.ts';
import { memoize } from '../runner.ts';

/** The port of the application contract. */
const PORT = 3000;

/** One line for each listed instance, asked directly and not through Nginx, and one that compares their versions. */
export function backends(config: Config, containers: Containers): Check[] {
  const get = async (name: string, path: string): Promise<Answer> => {
    const address = await addressOf(config, await containers(), name);
    const hint = `docker logs --tail 50 ${containerOf(config, name)}`;
    return ask({ address, port: PORT, path: `/api/v1/${path}`, hint });
  };
  const { serving, down } = inService();
  const asked = serving.map(name => ({ name, alive: memoize(() => get(name, 'health')) }));
  const lines = asked.map(({ name, alive }) => ({
    name,
    page: 'backend',
    run: async () => readiness(...(await Promise.all([alive(), get(name, 'health/ready')]))),
  }));
  const idle = down.map(name => ({ name, page: 'backend', run: async () => IDLE }));
  return [...lines, ...idle, { name: 'versions', run: () => compareVersions(asked) }];
}

const IDLE: Finding = {
  status: 'warning',
  message: 'gets no requests: it is marked down in nginx/upstreams/backend.conf',
  hint: 'an interrupted deployment marked it; the next deploy.ts or rollback.ts replaces it.',
};

/** Without a readable list there are no lines of instances; the line on versions has the error. */
function inService(): Instances {
  try {
    return instances();
  } catch {
    return { serving: [], down: [] };
  }
}

async function addressOf(config: Config, containers: Awaited<ReturnType<Containers>>, name: string) {
  const found = containers.find(({ service }) => service === name);
  const up = `docker compose up -d --no-recreate ${name}`;
  if (!found)
    throw new OperationalError('it has no container, but nginx/upstreams/backend.conf lists it', up);
  if (found.state !== 'running') throw new OperationalError(`its container is ${stateOf(found)}`, up);
  const address = found.addresses[`${projectOf(config)}_app`];
  if (!address) throw new OperationalError('its container has no address in the network app', up);
  return address;
}

const versionOf = (answer: Answer) => String(jsonOf(answer).version ?? 'unknown');

function readiness(health: Answer, ready: Answer): Finding {
  const measured = { value: Math.round(ready.ms), unit: 'ms' } as const;
  if (health.status !== 200)
    return { status: 'critical', message: `/api/v1/health answers ${health.status}`, ...measured };
  if (ready.status === 200)
    return { status: 'ok', message: `ready, version ${versionOf(health)}`, ...measured };
  return { status: 'critical', message: notReady(ready), ...measured };
}

/** @returns why an instance is not ready, from the body that the application contract asks for */
export function notReady(answer: Answer): string {
  const { status, failed } = jsonOf(answer);
  const why = Array.isArray(failed) && failed.length > 0 ? failed.join(', ') : status;
  return `not ready: ${typeof why === 'string' ? `${why} (${answer.status})` : `it answers ${answer.status}`}`;
}

async function compareVersions(asked: { name: string; alive: () => Promise<Answer> }[]): Promise<Finding> {
  // Throws where inService() does not.
  if (instances().serving.length === 0)
    throw new OperationalError(
      'nginx/upstreams/backend.conf lists no instance: the API is down',
      'add `server backend-1:3000 weight=1 max_fails=3 fail_timeout=0s route=backend-1 resolve;` to it.',
    );
  const answers = await Promise.allSettled(asked.map(({ alive }) => alive()));
  const known = asked.flatMap(({ name }, index) => {
    const answer = answers[index]!;
    return answer.status === 'fulfilled' ? [{ name, version: versionOf(answer.value) }] : [];
  });
  const versions = [...new Set(known.map(({ version }) => version))];
  if (versions.length > 1) {
    const list = known.map(({ name, version }) => `${name} runs ${version}`).join(', ');
    return { status: 'warning', message: `the instances differ: ${list}` };
  }
  const unconfigured = answers.find(
    each => each.status === 'rejected' && each.reason instanceof NotConfigured,
  );
  if (unconfigured?.status === 'rejected') throw unconfigured.reason;
  if (versions.length === 0) return { status: 'unknown', message: 'no instance answered with its version' };
  return { status: 'ok', message: `${known.length} of ${asked.length} run ${versions[0]}` };
}
