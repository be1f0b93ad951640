/** What the container of Nginx gets from the env file: nginx/settings.sh writes Nginx's settings from it at each start. */
import type { Config } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { run } from '../core/shell.ts';
import { inspectVariables } from '../docker/commands.ts';
import { containerOf, inspect } from '../docker/containers.ts';

/**
 * Gives the container the variables of today's env file: Compose replaces a container whose variables differ. Without the
 * limit, in seconds, Nginx waits for WebSockets to end, for the whole `stop_grace_period`, and nobody is answered.
 */
export const UPDATE_SETTINGS = 'docker compose up -d --timeout=5 nginx';

/** @returns the `environment:` of the service nginx, as the Compose file derives it from this configuration */
export function nginxSettings({ site, contract }: Config): Record<string, string> {
  return {
    ADMIN_ALLOW: contract.adminAllow,
    ADMIN_HASHED_PASSWORD: contract.adminHashedPassword,
    ADMIN_PATHS: contract.adminPaths,
    API_DOMAIN: site.api,
    BACKEND_PORT: `${contract.ports.backend}`,
    DOMAIN: site.frontend,
    FRONTEND_PORT: `${contract.ports.frontend}`,
    HEALTH_PATH: contract.healthPath,
    METRICS_PATH: contract.metricsPath ?? 'none',
    PUBLIC_PATHS: contract.publicPaths,
    READY_PATH: contract.readyPath,
    UPLOAD_PATHS: contract.uploadPaths,
  };
}

/**
 * @param variables of Nginx's container, as {@link inspectVariables} prints them
 * @returns what is wrong where the container was started with other settings, or without; undefined: nothing
 */
export function outdatedSettings(config: Config, variables: string): string | undefined {
  const has: string[] = JSON.parse(variables);
  if (!has.some(each => each.startsWith('DOMAIN=')))
    return 'Nginx’s container is of an earlier version of the Compose file: it can’t be reloaded, and not start again';
  const names = Object.entries(nginxSettings(config)).flatMap(([name, value]) =>
    has.includes(`${name}=${value}`) ? [] : [name],
  );
  return names.length === 0
    ? undefined
    : `Nginx runs with other values than the configuration has now: ${names.join(', ')}`;
}

/**
 * Without a container there is nothing to compare.
 * @throws OperationalError where Nginx's container was started with other settings than the configuration has now
 */
export async function refuseOutdatedSettings(config: Config): Promise<void> {
  const problem = await readOutdatedSettings(config);
  if (problem) throw new OperationalError(problem, `load them: ${UPDATE_SETTINGS}`);
}

/**
 * @returns {@link outdatedSettings} of the container that is there; undefined without one
 * @throws OperationalError when Docker can't be asked
 */
export async function readOutdatedSettings(config: Config): Promise<string | undefined> {
  if (!(await inspect(config, 'nginx'))) return undefined;
  const variables = await run(inspectVariables(containerOf(config, 'nginx')), {
    purpose: 'read the settings of Nginx’s container',
  });
  return outdatedSettings(config, variables);
}
