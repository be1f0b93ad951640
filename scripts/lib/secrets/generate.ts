/** Fills what is empty in the env files of an installation. */
import { chmodSync, existsSync } from 'node:fs';
import { basename } from 'node:path';
import type { Result } from '../cli/command.ts';
import { type Config, configOfText } from '../config/config.ts';
import { quoted, setVariable, textOfEnvFile, valuesOf, writeVariables } from '../config/env-file.ts';
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
  const filled = Object.entries(made).reduce((all, [name, value]) => setVariable(all, name, value), text);
  const urls = urlStates(configOfText(environment, filled)).filter(
    ({ is, right }) => is === 'missing' && right,
  );
  hideSecrets(urls.map(({ right }) => right));
  const env = { ...made, ...Object.fromEntries(urls.map(({ name, right }) => [name, quoted(right!)])) };
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
    if (names.env.length > 0) await writeVariables(envFile, env);
    if (names.app.length > 0) await writeVariables(appFile, app);
    await noteAges(config, [...names.env, ...names.app]);
  }
  const would = looking ? 'would set' : 'set';
  const line = (path: string, all: string[]) =>
    `${basename(path)}: ${all.length > 0 ? `${would} ${all.join(', ')}` : 'nothing is empty'}`;
  return {
    text: [
      line(envFile, names.env),
      ...(hasApp ? [line(appFile, names.app)] : []),
      ...open.map(path => `${basename(path)}: ${looking ? 'would get' : 'has'} the mode 600`),
    ].join('\n'),
    json: { dryRun: looking, environment, set: names, closed: open.map(path => basename(path)) },
  };
}

/**
 * The passwords of a database are in its data: those of a new file would open nothing.
 * @throws a usage error where the data of a database is here
 */
export async function refuseKnownDatabase(config: Config): Promise<void> {
  const volume = `${projectOf(config)}_postgres_data`;
  // Without Docker there is none yet.
  const volumes = await docker(config, ['volume', 'ls', '--quiet']).catch(() => '');
  if (!volumes.split('\n').includes(volume)) return;
  throw usageError(
    `the volume ${volume} has a database, whose passwords a new env file would not have`,
    `restore ${config.envFile} from a copy, or write the database’s POSTGRES_PASSWORD into it, then run it again.`,
  );
}
