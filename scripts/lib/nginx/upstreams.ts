import { readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Config, ROOT } from '../config/config.ts';
import { word } from '../core/command-line.ts';
import { OperationalError } from '../core/errors.ts';
import { refuseUnwritablePath } from '../core/files.ts';
import { rewrite } from '../core/operator-file.ts';
import { sleep } from '../core/signals.ts';
import { nginxTimes, reloadNginx, testNginx } from './reload.ts';

type Upstream = 'backend' | 'frontend';

/** A line of nginx/upstreams/: `server backend-1:3000 weight=1 … resolve;`. */
export type ServerLine = string;

const pathOf = (upstream: Upstream) => join(ROOT, 'nginx/upstreams', `${upstream}.conf`);

/** @returns the service that a line names: `backend-1` */
export const serviceOf = (line: ServerLine): string => /^server ([\w.-]+):/.exec(line)?.[1] ?? '';

/** @returns the list that a service belongs to */
export const upstreamOf = (service: string): Upstream =>
  service.startsWith('backend') ? 'backend' : 'frontend';

/** @returns the line with the port that instances of its list listen on now */
export const withPort = ({ contract: { ports } }: Config, line: ServerLine): ServerLine =>
  line.replace(/(?<=^server [\w.-]+:)\d+/, String(ports[upstreamOf(serviceOf(line))]));

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

/** @returns the lines of a list's file, without comments, each with single spaces */
export function parseUpstream(text: string): ServerLine[] {
  const lines = text.replace(/#.*/g, '').match(/\bserver\s[^;]*;/g) ?? [];
  return lines.map(line => line.replace(/\s+/g, ' '));
}

/** A line with one server: its indentation, and what stands behind it. */
const LINE = /^([ \t]*)server\s[^;#]*;(?:[ \t]*(#.*))?$/;

/**
 * @returns the text of a list with these servers, where the others stood. Each comment stays: one behind a server goes with
 *   it, and has a line of its own when the server leaves.
 */
export function withServers(text: string, servers: ServerLine[]): string {
  const lines = text.replace(/\n$/, '').split('\n');
  const places = lines.filter(line => LINE.test(line));
  const behind = new Map(
    places.flatMap(line => {
      const [service, comment] = [serviceOf(line.trim()), LINE.exec(line)![2]];
      return comment ? [[service, comment]] : [];
    }),
  );
  const lineOf = (server: ServerLine) => [server, behind.get(serviceOf(server))].filter(Boolean).join(' ');
  const names = new Set(servers.map(serviceOf));
  let at = 0;
  const result = lines.flatMap(line => {
    const [, indentation, comment] = LINE.exec(line) ?? [];
    if (indentation === undefined) return [line];
    const left = comment && !names.has(serviceOf(line.trim())) ? [indentation + comment] : [];
    const more = ++at === places.length ? servers.slice(at - 1) : servers.slice(at - 1, at);
    return [...left, ...more.map(server => indentation + lineOf(server))];
  });
  const whole = `${result.join('\n')}\n`;
  const isRead = parseUpstream(whole).join('\n') === servers.join('\n');
  return isRead ? whole : `${servers.join('\n')}\n`; // several servers in a line, or one in several lines
}

/** @returns the servers of a list, as Nginx will next read it; throws an error of the file system without the file */
export const readUpstream = (upstream: Upstream): ServerLine[] =>
  parseUpstream(readFileSync(pathOf(upstream), 'utf8'));

/** The backends by name. */
export interface Instances {
  /** Those that get requests. */
  serving: string[];
  /** Those marked down. */
  down: string[];
}

/** @returns the backends that a list names */
export function instances(lines: ServerLine[] = readUpstream('backend')): Instances {
  const names = (marked: boolean) => lines.filter(line => isDown(line) === marked).map(serviceOf);
  return { serving: names(false), down: names(true) };
}

/** @throws OperationalError when this user can't write the lists */
export const refuseUnwritableLists = (): Promise<void> =>
  refuseUnwritablePath(join(ROOT, 'nginx/upstreams'), 'write the lists of servers');

/** @returns the backends' lines without the mark that a stopped deployment has left */
export const wantedBackends = (): ServerLine[] => readUpstream('backend').map(up);

/** @returns the first server that gets requests. @throws OperationalError when there is none */
export function servingLine(upstream: Upstream): ServerLine {
  const line = readUpstream(upstream).find(each => !isDown(each));
  if (line) return line;
  throw new OperationalError(
    `nginx/upstreams/${upstream}.conf has no active server`,
    `\`git -C ${word(ROOT)} checkout nginx/upstreams/${upstream}.conf\` restores the list.`,
  );
}

/**
 * Sends requests to these servers and no others: writes the list, has Nginx test it with the rest of its configuration,
 * and reloads. Resolves when the workers that accept connections use the list.
 *
 * @throws OperationalError when Nginx refuses its configuration (the list on disk is then unchanged) or does not reload
 */
export async function setUpstream(config: Config, upstream: Upstream, servers: ServerLine[]): Promise<void> {
  const before = readUpstream(upstream);
  await untilResolved(upstream);
  const known = new Set(before.map(serviceOf));
  if (!servers.some(line => !isDown(line) && known.has(serviceOf(line)))) {
    // Nginx keeps the addresses of the old list and looks up new names after the reload; until it has an answer there
    // would be no server. A frontend joins marked down: its pages name files that only it has.
    const joining = servers.filter(line => !known.has(serviceOf(line)));
    await load(config, upstream, [...before, ...(upstream === 'frontend' ? joining.map(down) : joining)]);
    await untilResolved(upstream);
  }
  await load(config, upstream, servers);
}

/**
 * Has Nginx load its lists as they are on disk, and waits until it knows the address of each server. A run that was
 * killed may have written a list that Nginx has not loaded, and its last server may be the only one of the next list.
 *
 * @throws OperationalError when Nginx refuses its configuration or does not reload
 */
export async function loadWritten(config: Config): Promise<void> {
  await testNginx(config);
  await reloadNginx(config);
  await sleep(nginxTimes().resolve);
}

/** Waits until Nginx has looked up the names of a list: the newest may be the only server of the next list. */
async function untilResolved(upstream: Upstream): Promise<void> {
  const { mtimeMs } = await stat(pathOf(upstream));
  const age = Math.max(0, Date.now() - mtimeMs) / 1000;
  const left = nginxTimes().resolve - age;
  if (left > 0) await sleep(left);
}

async function load(config: Config, upstream: Upstream, servers: ServerLine[]): Promise<void> {
  const before = readFileSync(pathOf(upstream), 'utf8');
  const lines = servers.map(line => withPort(config, line));
  await rewrite(pathOf(upstream), withServers(before, lines));
  try {
    await testNginx(config);
  } catch (error) {
    await rewrite(pathOf(upstream), before);
    throw error;
  }
  await reloadNginx(config);
}
