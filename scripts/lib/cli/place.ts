import { type Postgres, ROOT } from '../config/config.ts';
import { type Place, word } from '../core/command-line.ts';

/** @returns where the commands of this run's messages will be run */
export function placeOf(environment: string, postgres?: Postgres): Place {
  return { root: ROOT, cwd: workingDirectory(), environment, psql: postgres && psqlOf(postgres) };
}

/** It may have been deleted: then commands have absolute paths. */
function workingDirectory(): string {
  try {
    return process.cwd();
  } catch {
    return '';
  }
}

/** In the container of the official image, local connections need no password. */
function psqlOf({ container, host, port, user }: Postgres): string {
  if (container) return `docker exec ${word(container)} psql -U ${word(user)}`;
  const address = [...(host ? ['-h', word(host)] : []), ...(port ? ['-p', String(port)] : [])];
  return ['psql', ...address, '-U', word(user)].join(' ');
}
