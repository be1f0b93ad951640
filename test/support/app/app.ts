import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Postgres } from '../../../scripts/lib/config/config.ts';
import { openSession, type Session } from '../../../scripts/lib/postgres/session.ts';
import { databaseUrl } from '../../../scripts/lib/postgres/url.ts';
import { type Child, startChild } from '../core/child.ts';
import { ask } from '../postgres/ask.ts';
import { startTestPostgres } from '../postgres/test-postgres.ts';
import { BACKEND, installBackend } from './install-backend.ts';
import { startRedis } from './redis.ts';

export interface Backend extends Child {
  port: number;
  /** Up to and with the API's prefix. */
  url: string;
}

/** A real PostgreSQL with an empty database. */
export interface Database {
  /** As scripts reach it. */
  postgres: Postgres;
  url: string;
  /** Runs statements. @returns the rows, one a line, columns separated by | */
  sql(text: string): Promise<string>;
  session(): Session;
  /** Drops all that is in it. */
  empty(): Promise<void>;
  stop(): Promise<void>;
}

/** A migrated database and a Redis, with backends beside them. */
export interface AppWorld {
  database: Database;
  redis: { stop(): Promise<void> };
  /** Starts one backend for each set of variables, side by side. */
  start(...instances: Variables[]): Promise<Backend[]>;
  /** Of everything, the backends first. */
  stop(): Promise<void>;
}

export type Variables = Record<string, string>;

const NODE = process.execPath;
/** Half of a start is compiling. */
const CACHED = { NODE_COMPILE_CACHE: join(BACKEND, 'node_modules/.cache/node') };

/** Starts the backend as a process with these variables and no others, and waits until it listens. */
export async function startBackend(variables: Variables): Promise<Backend> {
  installBackend();
  const child = startChild(NODE, [join(BACKEND, 'src/main.ts')], {
    cwd: BACKEND,
    env: { PORT: '0', JWT_SECRET: 'throwaway-jwt-secret', ...CACHED, ...variables },
  });
  const { port } = JSON.parse(await child.line(/"message":"listening"/));
  return { ...child, port, url: `http://127.0.0.1:${port}/api/v1` };
}

/** Starts the migrator as the image of this variant would have it, and doesn't wait for it. */
export function startMigration(url: string, variant = 'v1', args = ['deploy']): Child {
  installBackend();
  const folder = mkdtempSync(join(tmpdir(), 'migrations-'));
  const own = join(BACKEND, 'variants', variant);
  cpSync(join(BACKEND, 'prisma/migrations'), folder, { recursive: true });
  if (existsSync(own)) cpSync(own, folder, { recursive: true });
  const child = startChild(NODE, [join(BACKEND, 'src/migrate.ts'), ...args], {
    cwd: BACKEND,
    env: { DATABASE_URL: url, MIGRATIONS_DIR: folder, ...CACHED },
  });
  child.exited.finally(() => rmSync(folder, { recursive: true, force: true })).catch(() => {});
  return child;
}

/** Migrates and waits. @throws {Error} with what the migrator wrote, if it failed */
export async function migrate(url: string, variant = 'v1'): Promise<void> {
  const child = startMigration(url, variant);
  const { code } = await child.exited;
  if (code !== 0) throw new Error(child.output());
}

export async function startDatabase(): Promise<Database> {
  const { postgres, stop } = await startTestPostgres();
  const run = (database: string, text: string) => ask(postgres, database, text);
  try {
    await run('postgres', 'CREATE DATABASE app');
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    postgres: { ...postgres, database: 'app' },
    url: databaseUrl(postgres, 'app'),
    sql: async text => (await run('app', text)).trim(),
    session: () => openSession(postgres, 'app'),
    empty: async () => {
      await run('app', 'DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    },
    stop,
  };
}

/** The caller stops it, in `finally` or in a test of its own at the end of the file. */
export async function startAppWorld(variant = 'v1'): Promise<AppWorld> {
  const database = await startDatabase();
  const backends: Backend[] = [];
  const undo: (() => Promise<unknown>)[] = [database.stop];
  const stop = async () => {
    await Promise.all(backends.map(backend => backend.stop()));
    for (const each of undo.splice(0).reverse()) await each();
  };
  try {
    await migrate(database.url, variant);
    const redis = await startRedis();
    undo.push(redis.stop);
    const common = {
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      APP_VARIANT: variant,
      SHUTDOWN_LINGER_MS: '50',
    };
    const start = async (own: Variables) => {
      const backend = await startBackend({ ...common, ...own });
      backends.push(backend);
      return backend;
    };
    return { database, redis, stop, start: (...instances) => Promise.all(instances.map(start)) };
  } catch (error) {
    await stop();
    throw error;
  }
}
