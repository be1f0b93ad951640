import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Config, ROOT } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { writeWhole } from '../core/files.ts';
import { sleep } from '../core/signals.ts';
import { nginxTimes, reloadNginx, testNginx } from './reload.ts';

export type Upstream = 'backend' | 'frontend';

/** A line of nginx/upstreams/: `server backend-1:3000 weight=1 … resolve;`. */
export type ServerLine = string;

const pathOf = (upstream: Upstream) => join(ROOT, 'nginx/upstreams', `${upstream}.conf`);

/** @returns the service that a line names: `backend-1` */
export function serviceOf(line: ServerLine): string {
  return /^server ([\w-]+):/.exec(line)?.[1] ?? '';
}

/** @returns the list that a service belongs into */
export const upstreamOf = (service: string): Upstream =>
  service.startsWith('backend') ? 'backend' : 'frontend';

/** @returns the line of one more backend: that of `like`, with the other's name, no weight but 1, and no mark */
export function lineFor(service: string, like: ServerLine): ServerLine {
  return up(like)
    .replaceAll(serviceOf(like), service)
    .replace(/ weight=\d+/, ' weight=1');
}

const DOWN = / down\b/;

/** @returns whether a line has Nginx's mark that this server gets no requests */
export const isDown = (line: ServerLine): boolean => DOWN.test(line);

const up = (line: ServerLine): ServerLine => line.replace(DOWN, '');

/** @returns the line with Nginx's mark that this server gets no requests */
export const down = (line: ServerLine): ServerLine => up(line).replace(/;$/, ' down;');

/** @returns the servers of a list, as Nginx will next read it */
export async function readUpstream(upstream: Upstream): Promise<ServerLine[]> {
  const text = await readFile(pathOf(upstream), 'utf8');
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line.startsWith('server '));
}

/** @returns the backends' lines as they are when all is well: without the mark that a stopped deployment has left */
export async function wantedBackends(): Promise<ServerLine[]> {
  return (await readUpstream('backend')).map(up);
}

/** @returns the first server that gets requests; throws when there is none */
export async function servingLine(upstream: Upstream): Promise<ServerLine> {
  const line = (await readUpstream(upstream)).find(each => !isDown(each));
  if (line) return line;
  throw new OperationalError(
    `nginx/upstreams/${upstream}.conf names nobody to send requests to`,
    `\`git checkout nginx/upstreams/${upstream}.conf\` brings back the list as it came.`,
  );
}

/**
 * Gives requests to these servers and no others: writes the list, has Nginx test it with all the rest of its
 * configuration, and reload. What Nginx refuses is taken back. Resolves when the workers that take new connections know
 * the list.
 */
export async function setUpstream(config: Config, upstream: Upstream, servers: ServerLine[]): Promise<void> {
  const before = await readUpstream(upstream);
  await untilResolved(upstream);
  const known = new Set(before.map(serviceOf));
  if (!servers.some(line => !isDown(line) && known.has(serviceOf(line)))) {
    // Of the old list Nginx keeps the addresses; it asks for those of new names after it has loaded them, and until it
    // has an answer there would be nobody to send requests to. A frontend waits: its pages name files that only it has.
    const joining = servers.filter(line => !known.has(serviceOf(line)));
    await load(config, upstream, [...before, ...(upstream === 'frontend' ? joining.map(down) : joining)]);
    await untilResolved(upstream);
  }
  await load(config, upstream, servers);
}

/**
 * Has Nginx load its lists as they lie on disk, and get to know all that they name. What has ended a deployment may have
 * come between writing a list and loading it; and whoever was added last may be the only one left in the next list.
 */
export async function loadWritten(config: Config): Promise<void> {
  await testNginx(config);
  await reloadNginx(config);
  await sleep(nginxTimes().resolve);
}

/**
 * Waits until Nginx has found the addresses of the servers that are new in a list: whoever joined it last may be the only
 * one in the next.
 */
async function untilResolved(upstream: Upstream): Promise<void> {
  const { mtimeMs } = await stat(pathOf(upstream));
  const age = Math.max(0, Date.now() - mtimeMs) / 1000;
  const left = nginxTimes().resolve - age;
  if (left > 0) await sleep(left);
}

async function load(config: Config, upstream: Upstream, servers: ServerLine[]): Promise<void> {
  const before = await readFile(pathOf(upstream), 'utf8');
  await writeWhole(pathOf(upstream), `${servers.join('\n')}\n`, 0o644);
  try {
    await testNginx(config);
  } catch (error) {
    await writeWhole(pathOf(upstream), before, 0o644);
    throw error;
  }
  await reloadNginx(config);
}
