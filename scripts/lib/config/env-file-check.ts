/** What is wrong with an env file as a whole, before its values count. */
import { existsSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { word } from '../core/command-line.ts';
import { usageError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { ENVIRONMENTS, type Environment, ROOT } from './config.ts';
import { readEnvFile } from './env-file.ts';
import { misnamed, unknownNames } from './known-names.ts';
import { VARIABLES } from './variables.ts';

/** Variables that a shell may have for another program: they do not replace an env file. */
const OF_OTHER_PROGRAMS = /^(AWS_|PG)/;

/**
 * Checks an env file: that it is there, or its variables are in the environment, as in a container; that not everyone can
 * write it, because a variable of it is a command; and that it is not the file of another environment. Warns of names that
 * no script reads, and of a file that everyone can read.
 *
 * @throws a usage error
 */
export function checkEnvFile(
  environment: Environment,
  path = join(ROOT, `.env.${environment}`),
  given: NodeJS.ProcessEnv = process.env,
): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found) checkFound(environment, path, found.mode);
  else refuseMissing(environment, path, given);
}

function checkFound(environment: Environment, path: string, mode: number): void {
  const close = `chmod 600 ${word(path)}`;
  if (mode & 0o002)
    throw usageError(`every user of this server can write ${path}`, `check its values, then: ${close}`);
  const { values } = readEnvFile(path);
  if (values.DEPLOY_ENV && values.DEPLOY_ENV !== environment)
    throw usageError(
      `${path} is the file of another environment: DEPLOY_ENV in it is not ${environment}`,
      `put ${environment}’s own values into it, and DEPLOY_ENV=${environment}; or use another --env.`,
    );
  if (mode & 0o004) log.warnOnce(`every user of this server can read the secrets of ${path}: ${close}`);
  const wrong = unknownNames(Object.keys(values)).flatMap(each => misnamed(each) ?? []);
  if (wrong.length > 0)
    log.warnOnce(`${path} has names that have no effect:${wrong.map(line => `\n  ${line}`).join('')}`);
}

function refuseMissing(environment: Environment, path: string, given: NodeJS.ProcessEnv): void {
  if (VARIABLES.some(name => given[name] && !OF_OTHER_PROGRAMS.test(name))) return;
  const example = join(ROOT, '.env.example');
  const other = ENVIRONMENTS.find(name => name !== environment && existsSync(join(ROOT, `.env.${name}`)));
  throw usageError(
    `there is no ${path}, and no variable of it is in the environment`,
    [
      `install -m 600 ${word(example)} ${word(path)}, then fill it in`,
      ...(other ? [`; or add --env ${other}, whose ${basename(`.env.${other}`)} exists`] : []),
      '.',
    ].join(''),
  );
}
