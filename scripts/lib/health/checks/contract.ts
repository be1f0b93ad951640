import type { Config } from '../../config/config.ts';
import { OperationalError } from '../../core/errors.ts';
import { containerOf } from '../../docker/containers.ts';
import type { ImageSettings } from '../../docker/image-settings.ts';
import { instances } from '../../nginx/upstreams.ts';
import { backendRemarks, frontendRemarks, instanceRemarks } from '../application-contract.ts';
import { type Check, type Finding, type Remark, summarize } from '../check.ts';
import { COMMAND_SECONDS, type Containers, docker } from '../docker.ts';
import { ask } from '../http.ts';
import { addressOf } from './backends.ts';

/** What of the application contract the running images do not keep. What is made do without is no fault. */
export const contract = (config: Config, containers: Containers): Check => ({
  name: 'contract',
  timeout: 2 * COMMAND_SECONDS + 1, // the list, then both images
  run: async () => {
    try {
      return await look(config, await containers());
    } catch (error) {
      // A Docker that does not answer has a line of its own.
      if (!(error instanceof OperationalError)) throw error;
      return { status: 'unknown', message: `the images are not known: ${error.message}` };
    }
  },
});

async function look(config: Config, list: Awaited<ReturnType<Containers>>): Promise<Finding> {
  const imageOf = async (service: string): Promise<ImageSettings | undefined> => {
    const id = list.find(each => each.service === service)?.imageId;
    return id && JSON.parse(await docker(config, ['image', 'inspect', '--format', '{{json .Config}}', id]));
  };
  const [first] = instances().serving;
  const [backend, frontend, asked] = await Promise.all([
    first ? imageOf(first) : undefined,
    imageOf('frontend'),
    first ? asks(config, list, first) : [],
  ]);
  const remarks = [
    ...(backend ? backendRemarks(config, backend) : []),
    ...(frontend ? frontendRemarks(config, frontend) : []),
    ...asked,
  ];
  const faults = remarks.filter(([status]) => status !== 'ok');
  if (faults.length > 0) return { ...summarize(faults), hint: 'docs/APPLICATION_CONTRACT.md' };
  return { status: 'ok', message: remarks.map(([, text]) => text).join('; ') || 'the images keep it' };
}

/** An instance that does not answer has a line of its own. */
async function asks(config: Config, list: Awaited<ReturnType<Containers>>, name: string): Promise<Remark[]> {
  const { healthPath, readyPath, metricsPath, ports } = config.contract;
  const hint = `docker logs --tail 50 ${containerOf(config, name)}`;
  try {
    const address = await addressOf(config, list, name);
    const get = (path: string) => ask({ address, port: ports.backend, path, hint });
    const [health, ready, metrics] = await Promise.all([
      get(healthPath),
      get(readyPath),
      metricsPath ? get(metricsPath) : undefined,
    ]);
    return instanceRemarks(config, { health, ready, metrics });
  } catch {
    return [];
  }
}
