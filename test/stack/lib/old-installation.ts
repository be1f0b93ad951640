/** An installation of the old scripts and Compose files, as docs/SWITCH.md finds it, with the reference application. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { run } from '../../engine/process.ts';
import type { Stack } from './stack.ts';

export const OLD_IMAGES = ['postgres:15-alpine'];
const SERVICES = ['nginx', 'frontend', 'backend-1', 'backend-2', 'redis', 'postgres'];
/** The name of an old dump, in `backups/` and in the bucket. */
export const oldDumpOf = (app: string) => `${app}_20250106_020000.sql.gz`;

export interface OldInstallation {
  directory: string;
  compose: (...args: string[]) => Promise<string>;
  /** Its containers under the names of now, and whether each runs. */
  states: () => Promise<Record<string, boolean>>;
}

/** Writes its files beside a stack whose names, passwords, images and ports it has; then starts it. */
export async function startOldInstallation(stack: Stack): Promise<OldInstallation> {
  const { app, variables, engine } = stack;
  const directory = join(dirname(stack.directory), app);
  for (const path of ['infrastructure/nginx/ssl/production', 'backups'])
    mkdirSync(join(directory, path), { recursive: true });
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, 'docker-compose.production.yml'), composeFile(app));
  writeFileSync(join(directory, 'infrastructure/nginx/production.conf'), nginxConf(stack.domain));
  const ssl = join(directory, 'infrastructure/nginx/ssl/production');
  const names = ['', 'www.', 'api.'].map(prefix => `DNS:${prefix}${stack.domain}`).join();
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '60'],
    ...['-subj', `/CN=${stack.domain}`, '-addext', `subjectAltName=${names}`],
    ...['-keyout', join(ssl, 'privkey.pem'), '-out', join(ssl, 'fullchain.pem')],
  ]);
  writeFileSync(join(directory, `backups/${oldDumpOf(app)}`), oldDump());

  const options = { env: { ...engine.env, ...variables }, cwd: directory };
  const compose = (...args: string[]) =>
    run('docker', ['compose', '-f', 'docker-compose.production.yml', ...args], options);
  stack.atExit(
    ['volume', 'rm', '--force', `${app}_postgres_production_data`, `${app}_redis_production_data`],
    ['network', 'rm', `${app}_neurmatic-network`],
  );
  await compose('up', '--detach', '--wait', 'postgres', 'redis');
  await compose('run', '--rm', '--no-deps', 'backend-1', 'node', 'src/migrate.ts', 'deploy');
  await compose('up', '--detach', '--wait');
  return {
    directory,
    compose,
    states: async () => {
      const list = await stack.docker(
        ...['ps', '--all', '--filter', `label=com.docker.compose.project=${app}`],
        ...['--format', '{{.Names}} {{.State}}'],
      );
      const rows = list
        .split('\n')
        .filter(Boolean)
        .map(line => line.split(' '));
      return Object.fromEntries(rows.map(([name, state]) => [name!, state === 'running']));
    },
  };
}

export const oldNames = (app: string, prefix = '') =>
  SERVICES.map(service => `${app}-${prefix}${service}-production`);

/** A plain dump as pg_dump writes it. */
const oldDump = () =>
  gzipSync(
    [
      '--\n-- PostgreSQL database dump\n--\n',
      'CREATE TABLE public.old_note (id integer, note text);',
      'COPY public.old_note (id, note) FROM stdin;\n1\tfrom the old dump\n\\.\n',
      '--\n-- PostgreSQL database dump complete\n--\n',
    ].join('\n'),
  );

/** Names, images and arguments of the old file; the passwords are in arguments, as they were. */
function composeFile(app: string): string {
  const backend = (n: number) => `
  backend-${n}:
    image: \${BACKEND_IMAGE}
    container_name: ${app}-backend-${n}-production
    restart: always
    environment:
      NODE_ENV: production
      PORT: 3000
      DATABASE_URL: \${DATABASE_URL}
      REDIS_URL: \${REDIS_URL}
      JWT_SECRET: \${JWT_SECRET}
      INSTANCE_ID: backend-${n}
    networks: [neurmatic-network]
    depends_on:
      postgres: { condition: service_healthy }
      redis: { condition: service_healthy }
    healthcheck:
      test: [CMD, node, -e, "fetch('http://127.0.0.1:3000/api/v1/health/ready').then(r => process.exit(r.ok ? 0 : 1))"]
      interval: 1s
      timeout: 10s
      retries: 60
`;
  return `services:
  postgres:
    image: postgres:15-alpine
    container_name: ${app}-postgres-production
    restart: always
    environment:
      POSTGRES_USER: \${POSTGRES_USER}
      POSTGRES_PASSWORD: \${POSTGRES_PASSWORD}
      POSTGRES_DB: ${app}_production
      POSTGRES_INITDB_ARGS: "--encoding=UTF8 --locale=en_US.UTF-8"
    volumes:
      - postgres_production_data:/var/lib/postgresql/data
    networks: [neurmatic-network]
    healthcheck:
      test: [CMD-SHELL, "pg_isready -h 127.0.0.1 -U $\${POSTGRES_USER}"]
      interval: 1s
      timeout: 5s
      retries: 60

  redis:
    image: redis:7.2.11-bookworm
    container_name: ${app}-redis-production
    restart: always
    command: [redis-server, --appendonly, "yes", --requirepass, "\${REDIS_PASSWORD}", --maxmemory-policy, allkeys-lru]
    volumes:
      - redis_production_data:/data
    networks: [neurmatic-network]
    healthcheck:
      test: [CMD, redis-cli, --pass, "\${REDIS_PASSWORD}", ping]
      interval: 1s
      timeout: 10s
      retries: 60
${backend(1)}${backend(2)}
  frontend:
    image: \${FRONTEND_IMAGE}
    container_name: ${app}-frontend-production
    restart: always
    networks: [neurmatic-network]

  nginx:
    image: nginx:1.30.6-trixie
    container_name: ${app}-nginx-production
    restart: always
    ports:
      - "\${HTTPS_PORT}:443"
      - "\${HTTP_PORT}:80"
    volumes:
      - ./infrastructure/nginx/production.conf:/etc/nginx/nginx.conf:ro
      - ./infrastructure/nginx/ssl:/etc/nginx/ssl:ro
    networks: [neurmatic-network]
    depends_on:
      backend-1: { condition: service_healthy }
      backend-2: { condition: service_healthy }
      frontend: { condition: service_started }

volumes:
  postgres_production_data:
  redis_production_data:

networks:
  neurmatic-network:
`;
}

const nginxConf = (domain: string) => `events {}
http {
  upstream backend_api { server backend-1:3000; server backend-2:3000; }
  ssl_certificate /etc/nginx/ssl/production/fullchain.pem;
  ssl_certificate_key /etc/nginx/ssl/production/privkey.pem;
  server { listen 443 ssl; server_name api.${domain}; location / { proxy_pass http://backend_api; } }
  server { listen 443 ssl; server_name ${domain}; location / { proxy_pass http://frontend:80; } }
}
`;
