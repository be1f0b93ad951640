import type { Config } from '../config/config.ts';
import { usageError } from '../core/errors.ts';
import { sh } from '../core/shell.ts';
import { containerOf, projectOf } from '../docker/containers.ts';

export interface Source {
  service: string;
  container: string;
}

/**
 * @param wanted services of the Compose file; `backend` is all of them, `all` is each service that has a container
 * @throws a usage error for one that has no container; CommandError when Docker does not answer
 */
export async function sourcesOf(config: Config, wanted: string[]): Promise<Source[]> {
  const filter = `label=com.docker.compose.project=${projectOf(config)}`;
  const format = '{{.Names}}';
  const text = await sh(
    'list the containers',
  )`docker container ls --all --filter ${filter} --format ${format}`;
  const names = text.split('\n');
  // Those that Compose names: a one-off container has another name.
  const [before, after] = containerOf(config, '*').split('*') as [string, string];
  const services = names
    .filter(name => name.startsWith(before) && name.endsWith(after))
    .map(name => name.slice(before.length, name.length - after.length))
    .sort();
  const found = wanted.map(each => [each, services.filter(service => isMeant(each, service))] as const);
  const missing = found.find(([, of]) => of.length === 0);
  if (missing)
    throw usageError(
      `there is no container of a service ${JSON.stringify(missing[0])}`,
      services.length > 0 ? `there is: ${services.join(', ')}.` : 'start the stack, or choose another --env.',
    );
  return [...new Set(found.flatMap(([, of]) => of))].map(service => ({
    service,
    container: containerOf(config, service),
  }));
}

const isMeant = (wanted: string, service: string) =>
  wanted === 'all' || service === wanted || service.replace(/-\d+$/, '') === wanted;
