/** The environment of the container that migrates: that of a backend. */
import { SET_BY_COMPOSE } from '../config/application.ts';
import type { Config } from '../config/config.ts';
import { readEnvFile } from '../config/env-file.ts';
import { OperationalError } from '../core/errors.ts';
import { log } from '../core/log.ts';

/**
 * @param url of the database that is migrated
 * @returns the variables of the application, and those that Compose gives to a backend. A restore at night does not fail
 *   because the application's file can't be read: that is a warning
 */
export function migrationEnvironment(
  { appFile, urls, contract: { ports } }: Config,
  url: string,
): Record<string, string> {
  const ofRun = {
    PORT: `${ports.backend}`,
    INSTANCE_ID: 'migrate',
    REDIS_URL: urls.redis,
    DATABASE_URL: url,
  };
  const set = { ...SET_BY_COMPOSE, ...ofRun };
  const given = Object.entries(set).filter((each): each is [string, string] => each[1] !== undefined);
  return { ...own(appFile), ...Object.fromEntries(given) };
}

function own(appFile: string): Record<string, string> {
  try {
    return readEnvFile(appFile).values;
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
    log.warn(`the migrations run without the application’s variables: ${error.message}`);
    return {};
  }
}

/** @returns lines of a POSIX shell that set variables; those are left out whose names it does not take, such as `a.b` */
export function exportsOf(variables: Record<string, string>): string {
  return Object.entries(variables)
    .filter(([name]) => /^[A-Za-z_]\w*$/.test(name))
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'\n`)
    .join('');
}
