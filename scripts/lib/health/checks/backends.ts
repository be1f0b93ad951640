import type { Config } from '../../config/config.ts';
import { OperationalError } from '../../core/errors.ts';
import { containerOf, projectOf } from '../../docker/containers.ts';
import { shortName } from '../../docker/images.ts';
import { type Instances, instances } from '../../nginx/upstreams.ts';
import { type Check, type Finding, NotConfigured } from '../check.ts';
import { type Containers, stateOf } from '../docker.ts';
import { type Answer, ask, jsonOf } from '../http.ts';
import { memoize } from '../runner.ts';

/** One line for each listed instance, asked directly and not through Nginx, and one that compares their versions. */
export function backends(config: Config, containers: Containers): Check[] {
  const { healthPath, readyPath, ports } = config.contract;
  const get = async (name: string, path: string): Promise<Answer> => {
    const address = await addressOf(config, await containers(), name);
    const hint = `docker logs --tail 50 ${containerOf(config, name)}`;
    return ask({ address, port: ports.backend, path, hint });
  };
  const { serving, down } = inService();
  const asked = serving.map(name => ({ name, alive: memoize(() => get(name, healthPath)) }));
  const lines = asked.map(({ name, alive }) => ({
    name,
    page: 'backend',
    run: async () => readiness(healthPath, ...(await Promise.all([alive(), get(name, readyPath)]))),
  }));
  const idle = down.map(name => ({ name, page: 'backend', run: async () => IDLE }));
  return [
    ...lines,
    ...idle,
    { name: 'versions', run: async () => compareVersions(asked, healthPath, await imagesOf(containers)) },
  ];
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

/** @returns the address of an instance in the network app. @throws OperationalError when it has none */
export async function addressOf(
  config: Config,
  containers: Awaited<ReturnType<Containers>>,
  name: string,
): Promise<string> {
  const found = containers.find(({ service }) => service === name);
  const up = `docker compose up -d --no-recreate ${name}`;
  if (!found)
    throw new OperationalError('it has no container, but nginx/upstreams/backend.conf lists it', up);
  if (found.state !== 'running') throw new OperationalError(`its container is ${stateOf(found)}`, up);
  const address = found.addresses[`${projectOf(config)}_app`];
  if (!address) throw new OperationalError('its container has no address in the network app', up);
  return address;
}

/** @returns undefined when the application does not tell it */
function versionOf(answer: Answer): string | undefined {
  const { version } = jsonOf(answer);
  return version === undefined ? undefined : String(version);
}

/** @returns the image of each service, as people recognise it; nothing when Docker can't tell */
const imagesOf = async (containers: Containers): Promise<Map<string, string>> =>
  new Map((await containers().catch(() => [])).map(({ service, image }) => [service, shortName(image)]));

function readiness(healthPath: string, health: Answer, ready: Answer): Finding {
  const measured = { value: Math.round(ready.ms), unit: 'ms' } as const;
  if (health.status !== 200)
    return { status: 'critical', message: `${healthPath} answers ${health.status}`, ...measured };
  if (ready.status === 200)
    return { status: 'ok', message: `ready, ${tells(versionOf(health), healthPath)}`, ...measured };
  return { status: 'critical', message: notReady(ready), ...measured };
}

const tells = (version: string | undefined, healthPath: string) =>
  version === undefined ? `without a version in ${healthPath}` : `version ${version}`;

/** @returns why an instance is not ready, from the body that the application contract asks for */
export function notReady(answer: Answer): string {
  const { status, failed } = jsonOf(answer);
  const why = Array.isArray(failed) && failed.length > 0 ? failed.join(', ') : status;
  return `not ready: ${typeof why === 'string' ? `${why} (${answer.status})` : `it answers ${answer.status}`}`;
}

/** @param images of each service: what is compared for an application that does not tell its version */
async function compareVersions(
  asked: { name: string; alive: () => Promise<Answer> }[],
  healthPath: string,
  images: Map<string, string>,
): Promise<Finding> {
  // Throws where inService() does not.
  if (instances().serving.length === 0)
    throw new OperationalError(
      'nginx/upstreams/backend.conf lists no instance: the API is down',
      'add `server backend-1:3000 weight=1 max_fails=3 fail_timeout=0s route=backend-1 resolve;` to it.',
    );
  const answers = await Promise.allSettled(asked.map(({ alive }) => alive()));
  const known = asked.flatMap(({ name }, index) => {
    const answer = answers[index]!;
    if (answer.status === 'rejected') return [];
    return [
      { name, version: versionOf(answer.value) ?? `${images.get(name)} (no version in ${healthPath})` },
    ];
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
