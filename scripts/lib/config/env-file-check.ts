/** What is wrong with an env file as a whole, before its values count. */
import { existsSync, statSync } from 'node:fs';
import { word } from '../core/command-line.ts';
import { type OperationalError, usageError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { ENVIRONMENTS, type Environment, envFileOf } from './config.ts';
import { readEnvFile } from './env-file.ts';
import { misnamedOf } from './known-names.ts';
import { VARIABLES } from './variables.ts';

/** Variables that a shell may have for another program: they do not replace an env file. */
const OF_OTHER_PROGRAMS = /^(AWS_|PG)/;

/**
 * Checks an env file for {@link envFileProblem}, and warns once a run of {@link envFileWarnings}.
 * @throws a usage error
 */
export function checkEnvFile(
  environment: Environment,
  path = envFileOf(environment),
  given: NodeJS.ProcessEnv = process.env,
): void {
  const problem = envFileProblem(environment, path, given);
  if (problem) throw problem;
  for (const warning of envFileWarnings(path)) log.warnOnce(warning);
}

/**
 * @returns why an env file can't be used: it is missing, and none of its variables is in the environment, as in a container;
 *   everyone can write it, and so the commands that are values in it; or it is the file of another environment
 * @throws a usage error where the file can't be read
 */
export function envFileProblem(
  environment: Environment,
  path: string,
  given: NodeJS.ProcessEnv,
): OperationalError | undefined {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode;
  if (mode === undefined) return isReplaced(given) ? undefined : missingFile(environment, path);
  if (mode & 0o002)
    return usageError(
      `every user of this server can write ${path}`,
      `check its values, then: chmod 600 ${word(path)}`,
    );
  const { DEPLOY_ENV } = readEnvFile(path).values;
  if (!DEPLOY_ENV || DEPLOY_ENV === environment) return undefined;
  return usageError(
    `${path} is the file of another environment: DEPLOY_ENV in it is not ${environment}`,
    `put ${environment}’s own values into it, and DEPLOY_ENV=${environment}; or use another --env.`,
  );
}

/** @returns what is no reason to stop a backup at night: a file that everyone can read, and names that no script reads */
export function envFileWarnings(path: string): string[] {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
  const wrong = misnamedOf(Object.keys(readEnvFile(path).values));
  return [
    ...(mode & 0o004
      ? [`every user of this server can read the secrets of ${path}: chmod 600 ${word(path)}`]
      : []),
    ...(wrong.length > 0
      ? [`${path} has names that have no effect:${wrong.map(line => `\n  ${line}`).join('')}`]
      : []),
  ];
}

const isReplaced = (given: NodeJS.ProcessEnv) =>
  VARIABLES.some(name => given[name] && !OF_OTHER_PROGRAMS.test(name));

function missingFile(environment: Environment, path: string): OperationalError {
  const other = ENVIRONMENTS.find(name => name !== environment && existsSync(envFileOf(name)));
  const instead = other ? `; or add --env ${other}, whose file exists` : '';
  return usageError(
    `there is no ${path}, and no variable of it is in the environment`,
    `restore it from a copy, or make it: ./scripts/init.ts${instead}`,
  );
}
