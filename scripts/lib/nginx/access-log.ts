import { mkdtempDisposable, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { sh } from '../core/shell.ts';
import { containerOf } from '../docker/containers.ts';
import { clientOf } from './client.ts';

/** A request as one instance answered it. One that Nginx tried with two instances is two of these. */
export interface Visit {
  /** The address of the instance, without its port. */
  address: string;
  /** When the request ended, in whole seconds since 1970. */
  time: number;
  /** The client as nginx/snippets/limits.conf counts them: an IPv4 address or an IPv6 /64. */
  client: string;
  /** The method and the path, without its query. */
  path: string;
  status: number;
  /** The instance's response time in seconds; undefined for a WebSocket, which lasts as long as the client stays. */
  seconds?: number;
}

interface Line {
  time?: string;
  client?: string;
  method?: string;
  path?: string;
  agent?: string;
  upstream?: string;
  upstream_status?: string;
  upstream_seconds?: string;
}

/** The requests kept of one reading: beyond, each has the same chance to be among them. */
const MOST = 200_000;

/**
 * Reads Nginx's access log, which Nginx writes with up to 5 s of delay. Requests of the canary are not in the result.
 *
 * @throws CommandError when Nginx has no container
 */
export async function readVisits(config: Config, since: Date): Promise<Visit[]> {
  const visits: Visit[] = [];
  const earliest = Math.floor(since.getTime() / 1000);
  let seen = 0;
  for await (const line of logLines(config, since)) {
    for (const visit of visitsOf(line)) {
      if (visit.time < earliest) continue;
      const place = seen++ < MOST ? visits.length : Math.floor(Math.random() * seen);
      if (place < MOST) visits[place] = visit;
    }
  }
  return visits;
}

/** @returns what a line of the log says of each instance that was asked; nothing for a line of the error log */
export function visitsOf(line: string): Visit[] {
  const { agent, upstream = '', ...rest } = parseLine(line);
  const {
    time = '',
    client = '',
    method = '',
    path = '',
    upstream_status = '',
    upstream_seconds = '',
  } = rest;
  if (agent === 'canary') return [];
  // One for each server that was tried: `172.18.0.5:3000, 172.18.0.6:3000`; ` : ` stands between internal redirects.
  // https://nginx.org/en/docs/http/ngx_http_upstream_module.html#var_upstream_addr
  const [addresses = [], statuses = [], times = []] = [upstream, upstream_status, upstream_seconds].map(
    list => list.split(/, | : /),
  );
  return addresses.flatMap((address, index): Visit[] => {
    const [, host] = /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(address) ?? [];
    const status = Number(statuses[index]);
    if (!host || !status) return [];
    const visit = { address: host, time: Date.parse(time) / 1000, client: clientOf(client), status };
    const seconds = path.startsWith('/socket.io/') ? {} : { seconds: Number(times[index]) || 0 };
    return [{ ...visit, path: `${method} ${path}`, ...seconds }];
  });
}

function parseLine(line: string): Line {
  try {
    return JSON.parse(line) as Line;
  } catch {
    return {};
  }
}

/** Through a file, since the log of some minutes may be larger than memory allows. */
async function* logLines(config: Config, since: Date): AsyncGenerator<string> {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'access-log-'));
  const path = join(directory.path, 'log');
  await using file = await open(path, 'wx', 0o600);
  const read = sh('read Nginx’s log', { stdout: file.fd });
  await read`docker logs --since ${since.toISOString()} ${containerOf(config, 'nginx')}`;
  yield* (await open(path)).readLines();
}
