import { existsSync } from 'node:fs';
import type { Postgres } from '../config/config.ts';
import { freeSpace } from '../core/machine.ts';
import { run } from '../core/shell.ts';
import { client } from './client.ts';

/** @returns free bytes of the disk of `path`: in the container, if PostgreSQL's programs run there */
export async function freeSpaceOf(postgres: Postgres, path: string): Promise<number> {
  if (!postgres.container) return freeSpace(path);
  const { argv, env } = client(postgres, ['df', '--output=avail', '--block-size=1', path]);
  const text = await run(argv, { env, purpose: `find the free space of ${path}` });
  return Number(text.trim().split('\n').at(-1));
}

/** @returns free bytes of the disk of PostgreSQL's data, or undefined if that disk is not visible from here */
export async function databaseDiskFree(
  postgres: Postgres,
  dataDirectory: string | null,
): Promise<number | undefined> {
  if (!dataDirectory) return undefined;
  if (postgres.container) return freeSpaceOf(postgres, dataDirectory);
  return existsSync(dataDirectory) ? freeSpace(dataDirectory) : undefined;
}
