import { mkdtempDisposable, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { sh } from '../core/shell.ts';
import { containerOf } from '../docker/containers.ts';

/** How requests to the upstreams went in a span of time. */
export interface Traffic {
  requests: number;
  /** Answers with a status of 500 and more. */
  errors: number;
  /** The 95th percentile of the upstream's response time in seconds; 0 without requests. */
  p95: number;
}

interface Line {
  time?: string;
  path?: string;
  status?: number;
  upstream_seconds?: string;
}

/**
 * Reads Nginx's access log, which Nginx writes with up to 5 s of delay.
 *
 * @throws CommandError when Nginx has no container
 */
export async function readTraffic(config: Config, since: Date): Promise<Traffic> {
  const seconds: number[] = [];
  let errors = 0;
  for await (const line of logLines(config, since)) {
    const { time = '', path = '', status = 0, upstream_seconds = '' } = parseLine(line);
    const when = Date.parse(time);
    // A WebSocket's request lasts as long as the WebSocket. The log's times are whole seconds.
    if (path.startsWith('/socket.io/') || !(when >= since.getTime() - 999)) continue;
    if (status >= 500) errors++;
    // A number for each server that was tried: `0.003`, or `2.001, 0.004`.
    seconds.push(upstream_seconds.split(/[,:]/).reduce((sum, each) => sum + (Number(each) || 0), 0));
  }
  seconds.sort((a, b) => a - b);
  return { requests: seconds.length, errors, p95: seconds[Math.floor(seconds.length * 0.95)] ?? 0 };
}

/** Lines of the error log are in it, too: they have no time. */
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

/**
 * @returns why the traffic of a release is worse than that before it, or undefined: 5xx are five at least and their share
 *   one in a hundred higher; or p95 is more than twice and 250 ms higher, with 100 requests in each
 */
export function regression(before: Traffic, now: Traffic): string | undefined {
  const share = ({ requests, errors }: Traffic) => (requests === 0 ? 0 : errors / requests);
  const percent = (value: number) => `${(value * 100).toFixed(1)} %`;
  if (now.errors >= 5 && share(now) > share(before) + 0.01) {
    return `${now.errors} of ${now.requests} answers are 5xx (${percent(share(now))}; before: ${percent(share(before))})`;
  }
  const enough = before.requests >= 100 && now.requests >= 100;
  if (enough && now.p95 > before.p95 * 2 && now.p95 > before.p95 + 0.25) {
    return `95 % of answers take up to ${now.p95.toFixed(2)} s (before: ${before.p95.toFixed(2)} s)`;
  }
  return undefined;
}
