import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { identifier } from '../../../scripts/lib/postgres/client.ts';
import { ask } from '../postgres/ask.ts';
import { createWorld, type World } from './world.ts';

/** Worlds that one after the other use the same servers, of which a world of its own takes a second each. */
export interface Turns {
  /** Runs `body` in a world with an empty database and removes all that it left, on the servers too. */
  inTurn: (body: (world: World) => Promise<void>) => Promise<void>;
  stop: () => Promise<void>;
}

interface Wishes {
  password?: string;
  /** Of each world. */
  env?: Record<string, string>;
}

export async function createTurns({ env: extra = {}, ...wishes }: Wishes = {}): Promise<Turns> {
  const servers = await createWorld(wishes);
  process.env.PATH = servers.env.PATH!; // the same programs of PostgreSQL as the scripts use
  let turns = 0;
  return {
    inTurn: async body => {
      const directory = join(servers.directory, `turn-${++turns}`);
      mkdirSync(directory, { mode: 0o755 });
      const env: Record<string, string> = {
        ...servers.env,
        ...extra,
        HOME: directory,
        BACKUP_DIR: join(directory, 'backups'),
        LOG_DIR: join(directory, 'logs'),
        STATE_DIR: join(directory, 'state'),
      };
      const start: World['start'] = (script, args, extra, options) =>
        servers.start(script, args, { ...env, ...extra }, options);
      const world = {
        ...servers,
        directory,
        env,
        start,
        run: (...args: Parameters<typeof start>) => start(...args).ended,
      };
      try {
        await body(world);
      } finally {
        await empty(servers);
      }
    },
    stop: servers.stop,
  };
}

/** Removes every database, role and object that is not the servers' own, and makes an empty database. */
async function empty(servers: World): Promise<void> {
  const { s3, database, rows } = servers;
  const [{ databases, roles }] = (await rows<{ databases: string[]; roles: string[] }>(
    `SELECT
       ARRAY(SELECT datname FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1')) AS databases,
       ARRAY(SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres') AS roles`,
    'postgres',
  )) as [{ databases: string[]; roles: string[] }];
  const statements = [
    // A session of this process that stays open would be that of a role that is gone.
    `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename <> 'postgres'`,
    ...databases.map(name => `DROP DATABASE ${identifier(name)} WITH (FORCE)`),
    ...roles.map(name => `DROP ROLE ${identifier(name)}`),
    `CREATE DATABASE ${identifier(database)} STRATEGY FILE_COPY`, // a third of the work
  ];
  await ask(servers.pg.postgres, 'postgres', ...statements); // no transaction around them
  const bucket = join(s3.directory, s3.bucket);
  for (const name of readdirSync(bucket)) rmSync(join(bucket, name), { recursive: true });
}
