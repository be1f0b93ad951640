/**
 * Nginx with the repository's own configuration before Express 4 and before Express 5, to compare what the two read in a
 * request target. In the copy of the configuration that runs here, each location names itself in a header of the
 * answer, the limits are so high that none is met, and a plain port stands beside each TLS port. All else is as it is.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { loadConfig } from '../../../scripts/lib/config/config.ts';
import { nginxSettings } from '../../../scripts/lib/nginx/settings.ts';
import { ensureEngine } from '../../engine/engine.ts';
import { ensureImages } from '../../images/images.ts';
import { Sandbox, until } from '../../images/sandbox.ts';
import { BACKEND, installBackend } from '../../support/app/install-backend.ts';
import { ROUTES } from './routes.ts';
import { ROOT } from './stack.ts';
import { installApart } from './tools.ts';

const IMAGE = 'nginx:1.30.6-trixie';

/** What came of a request: where Nginx put it, and what Express made of it. */
export interface Reading {
  status: number;
  /** The location whose rules Nginx applied; empty where it refused before it chose one. */
  location: string;
  /** Empty where Express was not asked. */
  route: string;
  /** The target as Express got it. */
  target: string;
  cached: boolean;
}

export interface Reader {
  name: string;
  /** Of the port without TLS, on 127.0.0.1. */
  port: number;
  api: string;
  site: string;
  reading(status: number, headers: Record<string, unknown>): Reading;
}

/** One Nginx before each Express, as long as `body` runs. Each runs another of the two configurations. */
export async function withReaders(body: (readers: Reader[]) => Promise<void>): Promise<void> {
  const engine = await ensureEngine();
  await ensureImages(engine, [IMAGE]);
  const box = new Sandbox(engine);
  const servers: Server[] = [];
  try {
    await body(await startReaders(box, servers));
  } finally {
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
    await box.close();
  }
}

async function startReaders(box: Sandbox, servers: Server[]): Promise<Reader[]> {
  installBackend();
  const network = await box.network();
  const format = '{{(index .IPAM.Config 0).Gateway}}';
  const gateway = await box.docker('network', 'inspect', '--format', format, network);
  const four = await installApart('express4');
  const upstreamOf = async (packages: string) => {
    const server = createServer(application(packages));
    servers.push(server);
    await new Promise<void>(resolve => server.listen(0, gateway, resolve));
    return `${gateway}:${(server.address() as AddressInfo).port}`;
  };
  return Promise.all([
    startReader(box, 'staging', 'Express 4', await upstreamOf(four)),
    startReader(box, 'production', 'Express 5', await upstreamOf(BACKEND)),
  ]);
}

async function startReader(
  box: Sandbox,
  environment: 'production' | 'staging',
  name: string,
  upstream: string,
): Promise<Reader> {
  const site = `${environment}.example`;
  const { directory, settings, locations } = copyOf(box, environment, upstream, site);
  const container = await box.start(
    environment,
    ...['--network', box.id, '--publish', '127.0.0.1::81'],
    ...['--tmpfs', '/etc/nginx/certificates', '--tmpfs', '/var/cache/proxy'],
    ...['--volume', `${directory}/entry/${environment}.conf:/etc/nginx/nginx.conf:ro`],
    ...['--volume', `${directory}:/etc/nginx/site:ro`],
    ...['--tmpfs', '/run', '--volume', `${settings}:/run/settings:ro`],
    ...['--volume', `${ROOT}/nginx/bootstrap-certificate.sh:/docker-entrypoint.d/05-certificate.sh:ro`],
    IMAGE,
  );
  const ask = ['exec', container, 'curl', '-fsS', 'http://127.0.0.1:8080/health'];
  await until('Nginx', async () => (await box.try(...ask)).code === 0);
  const port = Number((await box.docker('port', container, '81/tcp')).split(':').at(-1));
  return {
    name,
    port,
    api: `api.${site}`,
    site,
    reading: (status, headers) => ({
      status,
      location: headers['x-location'] === undefined ? '' : locations[Number(headers['x-location'])]!,
      route: `${headers['x-route'] ?? ''}`,
      target: Buffer.from(`${headers['x-target'] ?? ''}`, 'base64').toString('latin1'),
      cached: headers['x-cache-status'] !== undefined,
    }),
  };
}

/** The routes, in the Express of these packages with its default settings. */
function application(packages: string): RequestListener {
  // biome-ignore lint/suspicious/noExplicitAny: two versions of one interface
  const express: any = createRequire(join(packages, 'package.json'))('express');
  const app = express();
  app.set('env', 'test'); // prints no stack of a parameter that can't be decoded
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const reached = (name: string) => (request: any, response: any) =>
    response
      .set({
        'Cache-Control': 'public, max-age=60',
        'X-Route': name,
        'X-Target': Buffer.from(request.originalUrl, 'latin1').toString('base64'),
      })
      .json({});
  for (const [name, { path, use }] of Object.entries(ROUTES)) app[use ? 'use' : 'all'](path, reached(name));
  app.use(reached('none'));
  return app;
}

/** What nginx/settings.sh writes for an application that has paths of each kind. @returns the directory */
function settingsOf(environment: 'production' | 'staging', site: string): string {
  const directory = join(mkdtempSync(join(tmpdir(), 'settings-')), 'run');
  const variables = nginxSettings(
    loadConfig(environment, {
      DOMAIN: site,
      PUBLIC_PATHS: '/webhooks',
      ADMIN_PATHS: '/admin/queues',
      ADMIN_ALLOW: '10.0.0.0/8,127.0.0.0/8,172.16.0.0/12,192.168.0.0/16',
    }),
  );
  execFileSync(join(ROOT, 'nginx/settings.sh'), [directory, join(ROOT, 'nginx/upstreams')], {
    env: { PATH: process.env.PATH, ...variables },
  });
  chmodSync(dirname(directory), 0o755);
  return directory;
}

/** The configuration as described above. */
function copyOf(box: Sandbox, environment: 'production' | 'staging', upstream: string, site: string) {
  const source = join(ROOT, 'nginx');
  const locations: string[] = [];
  /** A location with a name is where errors go: what counts is the one before it. */
  const marked = (text: string) =>
    text.replace(/^( *)location ([^@\n].*) \{$/gm, (line, indent, name) => {
      locations.push(name);
      return `${line}\n${indent}    set $at ${locations.length - 1};`;
    });
  const settings = settingsOf(environment, site);
  for (const name of readdirSync(settings)) {
    const path = join(settings, name);
    writeFileSync(path, marked(readFileSync(path, 'utf8')));
  }
  process.once('exit', () => rmSync(dirname(settings), { recursive: true }));
  let entry = '';
  for (const file of readdirSync(source, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    const path = join(file.parentPath, file.name).slice(source.length + 1);
    let text = readFileSync(join(source, path), 'utf8');
    if (path.startsWith('upstreams/')) text = `server ${upstream} max_fails=0 route=one;\n`;
    text = text
      .replace(/^( *)listen 443 ssl( default_server)?;$/gm, '$&\n$1listen 81$2;')
      .replace(/\brate=\d+r\/[sm]/g, 'rate=100000r/s');
    text = marked(text);
    if (path === 'snippets/headers.conf') text += 'add_header X-Location $at always;\n';
    const written = box.file(`${environment}/${path}`, text);
    if (path === `${environment}.conf`) entry = written;
  }
  return { directory: entry.slice(0, entry.lastIndexOf('/')), settings, locations };
}
