import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Child, startChild } from './child.ts';
import { startPostgres, type ThrowawayPostgres } from './postgres.ts';
import { startRedis } from './redis.ts';

export const backendDirectory = join(import.meta.dirname, '../app/backend');
const node = join(import.meta.dirname, '../../node_modules/.bin/node');

export type Backend = Child & { url: string; port: number };
export type Variables = Record<string, string>;

/**
 * Installs the backend's dependencies as its lock file says, on this host: its image has to build without a
 * network and copies them. Does nothing if they're there.
 */
export function installBackend(): void {
  const stamp = join(backendDirectory, 'node_modules/.lock-sha256');
  const lock = createHash('sha256')
    .update(readFileSync(join(backendDirectory, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  process.stderr.write('installing the dependencies of test/app/backend\n');
  const args = ['ci', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  execFileSync('npm', args, { cwd: backendDirectory, stdio: ['ignore', 'ignore', 'inherit'] });
  writeFileSync(stamp, lock);
}

/** Starts the backend as a process with these variables and no others, and waits until it listens. */
export async function startBackend(variables: Variables): Promise<Backend> {
  installBackend();
  const child = startChild(node, [join(backendDirectory, 'src/main.ts')], {
    cwd: backendDirectory,
    env: { PORT: '0', JWT_SECRET: 'throwaway-jwt-secret', ...variables },
  });
  const { port } = JSON.parse(await child.line(/"message":"listening"/));
  return { ...child, port, url: `http://127.0.0.1:${port}/api/v1` };
}

/** Starts the migrator as the image of this variant would have it, and doesn't wait for it. */
export function startMigration(databaseUrl: string, variant = 'v1', args = ['deploy']): Child {
  installBackend();
  const folder = mkdtempSync(join(tmpdir(), 'migrations-'));
  const own = join(backendDirectory, 'variants', variant);
  cpSync(join(backendDirectory, 'prisma/migrations'), folder, { recursive: true });
  if (existsSync(own)) cpSync(own, folder, { recursive: true });
  const child = startChild(node, [join(backendDirectory, 'src/migrate.ts'), ...args], {
    cwd: backendDirectory,
    env: { DATABASE_URL: databaseUrl, MIGRATIONS_DIR: folder },
  });
  child.exited.finally(() => rmSync(folder, { recursive: true, force: true })).catch(() => {});
  return child;
}

/** Migrates and waits. @throws {Error} with what the migrator wrote, if it failed */
export async function migrate(databaseUrl: string, variant = 'v1'): Promise<void> {
  const child = startMigration(databaseUrl, variant);
  const { code } = await child.exited;
  if (code !== 0) throw new Error(child.output());
}

/**
 * Runs `body` beside a migrated database, a Redis, and one backend for each set of variables, and stops all of it.
 * `query` asks the backends' database.
 */
export async function withBackends(
  instances: Variables[],
  body: (backends: Backend[], query: (sql: string) => string) => Promise<void>,
  variant = 'v1',
): Promise<void> {
  const running: { stop(): Promise<unknown> }[] = [];
  const keep = <T extends { stop(): Promise<unknown> }>(part: T): T => {
    running.unshift(part);
    return part;
  };
  try {
    const postgres: ThrowawayPostgres = keep(await startPostgres());
    const redis = keep(await startRedis());
    const databaseUrl = postgres.url('app');
    await migrate(databaseUrl, variant);
    const common = {
      DATABASE_URL: databaseUrl,
      REDIS_URL: redis.url,
      APP_VARIANT: variant,
      SHUTDOWN_LINGER_MS: '50',
    };
    const backends: Backend[] = [];
    for (const own of instances) backends.push(keep(await startBackend({ ...common, ...own })));
    await body(backends, sql => postgres.query('app', sql));
  } finally {
    for (const part of running) await part.stop();
  }
}
