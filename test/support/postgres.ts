import { execFileSync } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Child, startChild } from './child.ts';
import { freePort } from './ports.ts';

export type ThrowawayPostgres = {
  /** URL of a database; it's created if need be. */
  url(database: string): string;
  /** @returns the rows, one a line, columns separated by | */
  query(database: string, sql: string): string;
  /** Starts the same as a process of its own, for what takes long. */
  session(database: string, sql: string): Child;
  stop(): Promise<void>;
};

const programs = '/usr/lib/postgresql/15/bin';

/** Starts a real PostgreSQL 15 on a port and in a directory of its own; as root, under the user postgres. */
export async function startPostgres(): Promise<ThrowawayPostgres> {
  const number = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  const user = process.getuid?.() === 0 ? { uid: number('-u'), gid: number('-g') } : {};
  const directory = mkdtempSync(join(tmpdir(), 'postgres-'));
  if (user.uid !== undefined) chownSync(directory, user.uid, user.gid);
  const [port, data] = [await freePort(), join(directory, 'data')];
  const run = { ...user, cwd: directory, stdio: 'pipe' as const, encoding: 'utf8' as const };

  execFileSync(
    `${programs}/initdb`,
    ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync', '-E', 'UTF8'],
    run,
  );
  const settings = [
    'listen_addresses=127.0.0.1',
    `port=${port}`,
    `unix_socket_directories=${directory}`,
    'fsync=off',
  ];
  const child = startChild(
    `${programs}/postgres`,
    ['-D', data, ...settings.flatMap(setting => ['-c', setting])],
    {
      ...user,
      cwd: directory,
    },
  );
  const stop = async () => {
    await child.stop('SIGINT'); // fast: sessions are ended
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await child.line(/ready to accept connections/);
  } catch (error) {
    await stop();
    throw error;
  }

  const databases = new Set(['postgres']);
  const psql = (database: string, sql: string): string[] => [
    '-h',
    '127.0.0.1',
    '-p',
    `${port}`,
    '-U',
    'postgres',
    '-d',
    database,
    '-XAtq',
    '-v',
    'ON_ERROR_STOP=1',
    '-c',
    sql,
  ];
  const query = (database: string, sql: string) =>
    execFileSync(`${programs}/psql`, psql(database, sql), run).trim();

  return {
    url(database) {
      if (!databases.has(database)) query('postgres', `CREATE DATABASE "${database}"`);
      databases.add(database);
      return `postgresql://postgres@127.0.0.1:${port}/${database}?schema=public&connection_limit=10`;
    },
    query,
    session: (database, sql) =>
      startChild(`${programs}/psql`, psql(database, sql), { ...user, cwd: directory }),
    stop,
  };
}
