/** Fills what is empty in the env files of an installation. */
import { chmodSync, existsSync } from 'node:fs';
import { basename } from 'node:path';
import type { Result } from '../cli/command.ts';
import { type Config, configOfText } from '../config/config.ts';
import { setValues, textOfEnvFile, valuesOf, withVariables, writeEnvFile } from '../config/env-file.ts';
import { initialNames, withoutInitial } from '../config/initial-passwords.ts';
import { urlStates } from '../config/store-urls.ts';
import { usageError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { hideSecrets } from '../core/redact.ts';
import { projectOf } from '../docker/containers.ts';
import { docker } from '../health/docker.ts';
import { agesFileOf, isPrivate, noteAges } from './ages.ts';
import { newApplicationSecrets, newPasswords } from './new-values.ts';

/**
 * Makes a secret for each that is empty, writes the URLs that are empty, gives the files the mode 0600, and notes the ages. What
 * is set stays. A run that was killed has written the first file, or none: the next one does the rest.
 *
 * @param looking changes nothing
 * @throws a usage error where there is no env file, it has bad values, or the passwords of a database here are lost
 */
export async function generate(config: Config, looking: boolean): Promise<Result> {
  const { environment, envFile, appFile } = config;
  if (!existsSync(envFile)) throw usageError(`there is no ${envFile}`, 'make it: ./scripts/init.ts');
  const text = textOfEnvFile(envFile);
  const made = newPasswords(valuesOf(text));
  if (made.POSTGRES_PASSWORD) await refuseKnownDatabase(config);
  const filled = withVariables(text, made, basename(envFile));
  const urls = urlStates(configOfText(environment, filled)).filter(
    ({ is, right }) => is === 'missing' && right,
  );
  hideSecrets(urls.map(({ right }) => right));
  const env = { ...made, ...Object.fromEntries(urls.map(({ name, right }) => [name, right!])) };
  const hasApp = existsSync(appFile);
  const app = hasApp ? newApplicationSecrets(valuesOf(textOfEnvFile(appFile))) : {};
  if (!hasApp)
    log.warn(
      `there is no ${basename(appFile)}, the variables of the application\n  → ./scripts/init.ts makes it.`,
    );
  const files = [envFile, appFile, agesFileOf(envFile)];
  const open = files.filter(path => !isPrivate(path));
  const names = { env: Object.keys(env), app: Object.keys(app) };
  if (!looking) {
    log.changesBegin();
    for (const path of open) chmodSync(path, 0o600);
    if (names.env.length > 0) await setValues(envFile, env);
    if (names.app.length > 0) await setValues(appFile, app);
    await noteAges(config, [...names.env, ...names.app]);
  }
  const removed = await forgetInitialPasswords(config, looking);
  const would = looking ? 'would set' : 'set';
  const line = (path: string, all: string[]) =>
    `${basename(path)}: ${all.length > 0 ? `${would} ${all.join(', ')}` : 'nothing is empty'}`;
  return {
    text: [
      line(envFile, names.env),
      ...(hasApp ? [line(appFile, names.app)] : []),
      ...open.map(path => `${basename(path)}: ${looking ? 'would get' : 'has'} the mode 600`),
      ...(removed.length > 0
        ? [
            `${basename(envFile)}: ${looking ? 'would remove' : 'removed'} ${removed.join(', ')}: there is no database here`,
          ]
        : []),
    ].join('\n'),
    json: { dryRun: looking, environment, set: names, removed, closed: open.map(path => basename(path)) },
  };
}

/**
 * The passwords of a database are in its data: those of a new file would open nothing.
 * @throws a usage error where the data of a database is here
 */
export async function refuseKnownDatabase(config: Config): Promise<void> {
  // Without Docker there is none yet.
  if (!(await hasDatabase(config))) return;
  throw usageError(
    `the volume ${volumeOf(config)} has a database, whose passwords a new env file would not have`,
    `restore ${config.envFile} from a copy, or write the database’s POSTGRES_PASSWORD into it, then run it again.`,
  );
}

/**
 * An env file that comes from another server may have passwords of the first start of its database: a new one gets those that hold.
 *
 * @param looking changes nothing
 * @returns the names of the variables that are removed; none where there is a database, or Docker does not answer
 * @throws OperationalError where the file can't be written
 */
export async function forgetInitialPasswords(config: Config, looking = false): Promise<string[]> {
  const { envFile } = config;
  const text = textOfEnvFile(envFile);
  const names = initialNames(text);
  if (names.length === 0 || (await hasDatabase(config)) !== false) return [];
  if (!looking) await writeEnvFile(envFile, withoutInitial(text), envFile);
  return names;
}

/** @returns whether PostgreSQL's volume is here; undefined: Docker does not say */
export async function hasDatabase(config: Config): Promise<boolean | undefined> {
  const volumes = await docker(config, ['volume', 'ls', '--quiet']).catch(() => undefined);
  return volumes?.split('\n').includes(volumeOf(config));
}

const volumeOf = (config: Config) => `${projectOf(config)}_postgres_data`;
