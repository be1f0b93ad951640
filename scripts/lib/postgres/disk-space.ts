import { existsSync } from 'node:fs';
import type { Postgres } from '../config/config.ts';
import { freeSpace } from '../core/machine.ts';
import { run } from '../core/shell.ts';
import { client } from './client.ts';

/** @returns free bytes of the disk under `path`, on the side where PostgreSQL's programs run */
export async function freeSpaceOf(postgres: Postgres, path: string): Promise<number> {
  if (!postgres.container) return freeSpace(path);
  const { argv, env } = client(postgres, ['df', '--output=avail', '--block-size=1', path]);
  const text = await run(argv, { env, purpose: `find the free space of ${path}` });
  return Number(text.trim().split('\n').at(-1));
}

/** @returns free bytes of the disk under PostgreSQL's data, or undefined where it can't be seen from here */
export async function databaseDiskFree(
  postgres: Postgres,
  dataDirectory: string | null,
): Promise<number | undefined> {
  if (!dataDirectory) return undefined;
  if (postgres.container) return freeSpaceOf(postgres, dataDirectory);
  return existsSync(dataDirectory) ? freeSpace(dataDirectory) : undefined;
}
