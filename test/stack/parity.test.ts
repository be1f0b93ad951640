/** Staging mirrors production: what differs is listed here, and nothing else does. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { resolved } from './lib/resolved.ts';
import { ROOT } from './lib/stack.ts';

/** Path in the resolved file: production's value, staging's value. */
const COMPOSE: Record<string, [unknown, unknown]> = {
  'services.nginx.environment.API_DOMAIN': ['api.neurmatic.com', 'api.staging.neurmatic.com'],
  'services.nginx.environment.DOMAIN': ['neurmatic.com', 'staging.neurmatic.com'],
  'services.nginx.mem_limit': ['536870912', '268435456'],
  'services.nginx.ulimits.nofile.hard': [8192, 4096],
  'services.nginx.ulimits.nofile.soft': [8192, 4096],
  'services.postgres.command.2': ['max_connections=200', 'max_connections=100'],
  'services.postgres.command.4': ['shared_buffers=512MB', 'shared_buffers=256MB'],
  'services.postgres.command.6': ['effective_cache_size=2GB', 'effective_cache_size=1GB'],
  'services.postgres.command.8': ['work_mem=8MB', 'work_mem=4MB'],
  'services.postgres.command.10': ['maintenance_work_mem=256MB', 'maintenance_work_mem=128MB'],
  'services.postgres.command.26': ['max_slot_wal_keep_size=8GB', 'max_slot_wal_keep_size=2GB'],
  'services.postgres.command.30': ['min_wal_size=1GB', 'min_wal_size=256MB'],
  'services.postgres.command.32': ['max_wal_size=4GB', 'max_wal_size=1GB'],
  'services.postgres.mem_limit': ['4294967296', '2147483648'],
  'services.postgres.shm_size': ['1073741824', '268435456'],
  'services.redis.command.7': ['2gb', '512mb'],
  'services.redis.mem_limit': ['4294967296', '1073741824'],
};

/** Lines of production.conf that staging.conf has otherwise; an empty one is not there at all. */
const NGINX: [string, string][] = [
  ['worker_rlimit_nofile 8192;', 'worker_rlimit_nofile 4096;'],
  ['worker_connections 4096;', 'worker_connections 2048;'],
  ['', 'add_header X-Robots-Tag noindex always;'],
];

/** The leaves of an object by their paths. */
function leaves(value: unknown, path = ''): [string, unknown][] {
  if (typeof value !== 'object' || value === null) return [[path, value]];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, path ? `${path}.${key}` : key));
}

test('the Compose files differ only in sizes and the environment’s name', async () => {
  const secrets = {
    POSTGRES_PASSWORD: 'x',
    REDIS_PASSWORD: 'x',
    DATABASE_URL: 'x',
    REDIS_URL: 'x',
    JWT_SECRET: 'x',
    CORS_ORIGIN: 'x',
  };
  const named = (value: unknown) =>
    typeof value === 'string' ? value.replaceAll('production', 'staging') : value;
  const ofProduction = leaves(await resolved('production', secrets));
  const production = new Map(ofProduction.map(([path, value]) => [`${named(path)}`, value]));
  const staging = new Map(leaves(await resolved('staging', secrets)));
  const differences = [...new Set([...production.keys(), ...staging.keys()])]
    // What is alike in both, such as NODE_ENV, can have the name of one.
    .filter(path => ![production.get(path), named(production.get(path))].includes(staging.get(path)))
    .map(path => [path, [production.get(path), staging.get(path)]]);
  assert.equal(Object.fromEntries(differences), COMPOSE);
});

test('the Nginx files differ only in worker connections and search engines', () => {
  const directives = (environment: string) =>
    readFileSync(join(ROOT, 'nginx', `${environment}.conf`), 'utf8')
      .split('\n')
      .map(line => line.trim())
      .filter(line => line && !line.startsWith('#'));
  const production = directives('production');
  const staging = directives('staging');
  assert.equal(
    production.filter(line => !staging.includes(line)),
    NGINX.map(([line]) => line).filter(Boolean),
  );
  assert.equal(
    staging.filter(line => !production.includes(line)),
    NGINX.map(([, line]) => line),
  );
  const [entry, other] = ['production', 'staging'].map(name =>
    readFileSync(join(ROOT, 'nginx/entry', `${name}.conf`), 'utf8'),
  );
  assert.is(entry!.replaceAll('production', 'staging'), other);
});

test('no file of nginx/ names the product', () => {
  const files = readdirSync(join(ROOT, 'nginx'), { recursive: true, withFileTypes: true }).filter(entry =>
    entry.isFile(),
  );
  assert.ok(files.length > 30);
  for (const { parentPath, name } of files)
    assert.not.match(
      readFileSync(join(parentPath, name), 'utf8'),
      /neurmatic|^\s*server_name (?!"")/im,
      name,
    );
});

test.run();
