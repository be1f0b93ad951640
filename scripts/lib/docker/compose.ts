import { type Config, type Environment, type Images, ROOT } from '../config/config.ts';
import { run } from '../core/shell.ts';
import { compose, remove, up } from './commands.ts';

/** Seconds: a grace period of 40 s for each instance, and a busy engine. */
const TIMEOUT = 300;

/** With --env, a script's DEPLOY_ENV may name the other environment, whose variables the Compose file refuses. */
const own = (environment: Environment) => ({ DEPLOY_ENV: environment });

/**
 * Starts a service from an image that is already here. A running service does not change.
 *
 * @param images instead of those that .env.<environment> names
 * @throws CommandError when Compose refuses it
 */
export async function composeUp({ environment }: Config, service: string, images?: Images): Promise<void> {
  const env = {
    ...own(environment),
    ...(images && { BACKEND_IMAGE: images.backend, FRONTEND_IMAGE: images.frontend }),
  };
  const purpose = `start ${service}`;
  await run(compose(environment, ...up(service)), { purpose, env, cwd: ROOT, timeout: TIMEOUT });
}

/** Stops services and removes their containers. @throws CommandError when Compose can't */
export async function removeServices({ environment }: Config, ...services: string[]): Promise<void> {
  const purpose = `stop ${services.join(', ')}`;
  const env = own(environment);
  await run(compose(environment, ...remove(...services)), { purpose, env, cwd: ROOT, timeout: TIMEOUT });
}
