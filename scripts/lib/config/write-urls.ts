/** Writes DATABASE_URL and REDIS_URL into `.env.<environment>`. */
import { existsSync } from 'node:fs';
import { usageError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { hideSecrets } from '../core/redact.ts';
import type { Config } from './config.ts';
import { readEnvFile, writeVariables } from './env-file.ts';
import { type UrlName, urlStates } from './store-urls.ts';

/**
 * Writes those URLs that do not say what their parts say. Others keep each byte, so that no container becomes another one.
 *
 * @param looking changes nothing
 * @returns the names that were written, and a line on each
 * @throws a usage error where a part is missing; nothing is changed then
 */
export async function writeUrls(
  config: Config,
  looking: boolean,
): Promise<{ written: UrlName[]; lines: string[] }> {
  const { envFile, roles, postgres } = config;
  if (!existsSync(envFile)) throw usageError(`there is no ${envFile}`, 'make it: ./scripts/init.ts');
  const { values } = readEnvFile(envFile);
  const ofFile = { ...config.urls, database: values.DATABASE_URL, redis: values.REDIS_URL };
  const states = urlStates({ ...config, urls: ofFile });
  const lacking = states.filter(({ is }) => is !== 'own').flatMap(({ lacks }) => lacks);
  if (lacking.length > 0)
    throw usageError(`${lacking.join(' and ')}: not set`, `set it in ${envFile}, then run it again.`);
  for (const { name } of states)
    if (process.env[name])
      log.warn(`${name} of this shell overrides the file, for Compose as well\n  → unset it: unset ${name}`);
  if (!roles.app.password && postgres.container)
    log.warn(
      `APP_DB_PASSWORD is empty: the application connects as ${postgres.user}, which has more rights than it needs`,
    );
  const wrong = states.filter(({ is, right }) => right && (is === 'missing' || is === 'wrong'));
  hideSecrets(wrong.map(({ right }) => right));
  if (!looking && wrong.length > 0)
    await writeVariables(envFile, Object.fromEntries(wrong.map(({ name, right }) => [name, right!])));
  const says = {
    right: 'unchanged: says what its parts say',
    rotating: 'unchanged: a rotation is not finished',
    own: 'unchanged: names a server that is not the stack’s',
    apart: 'unchanged: POSTGRES_CONTAINER is empty, so the server is not the stack’s',
    missing: looking ? 'would be written' : 'written',
    wrong: looking ? 'would be replaced' : 'replaced',
  };
  const lines = states.map(
    ({ name, is, right }) =>
      `${name}  ${is === 'missing' && !right ? 'not set: set it by hand, the server is not the stack’s' : says[is]}`,
  );
  return { written: wrong.map(({ name }) => name), lines };
}
