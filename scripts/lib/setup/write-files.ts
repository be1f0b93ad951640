/** Reads and writes both env files of an installation. */
import { existsSync } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { appFileOf, type Environment, envFileOf, ROOT } from '../config/config.ts';
import { refuseUnwritable, textOfEnvFile, writeEnvFile } from '../config/env-file.ts';
import { messageOf, OperationalError } from '../core/errors.ts';
import type { Files } from './plan-files.ts';

/** @returns both texts; an empty one where there is no file. @throws a usage error where one can't be read */
export function readFiles(environment: Environment): Files {
  const [env = '', app = ''] = pathsOf(environment).map(path =>
    existsSync(path) ? textOfEnvFile(path) : '',
  );
  return { env, app };
}

/**
 * Writes what differs: each file as a whole, that of the application last. A run that is killed before that has written the first
 * one; the next run has no more to ask, and writes the other.
 *
 * @throws OperationalError where one can't be written; it is then as it was
 */
export async function writeFiles(environment: Environment, before: Files, after: Files): Promise<void> {
  const [envFile, appFile] = pathsOf(environment);
  if (after.env !== before.env) await writeEnvFile(envFile, after.env, ROOT);
  if (after.app !== before.app) await writeEnvFile(appFile, after.app, envFile);
}

/** @throws OperationalError where {@link writeFiles} would fail for want of rights: before anything is asked */
export async function refuseUnwritableFiles(environment: Environment): Promise<void> {
  for (const path of pathsOf(environment)) {
    if (existsSync(path)) await refuseUnwritable(path);
    else
      await access(ROOT, constants.W_OK).catch(error => {
        throw new OperationalError(
          `can't write ${path}: ${messageOf(error)}`,
          `run as the owner of ${ROOT}, or correct its owner and mode.`,
        );
      });
  }
}

function pathsOf(environment: Environment): [envFile: string, appFile: string] {
  const envFile = envFileOf(environment);
  return [envFile, appFileOf(envFile)];
}
