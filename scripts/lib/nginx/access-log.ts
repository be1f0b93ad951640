import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { run } from '../core/shell.ts';
import { containerOf } from '../docker/containers.ts';

/** How requests to the upstreams went in a span of time. */
export interface Traffic {
  requests: number;
  /** Answers with a status of 500 and more. */
  errors: number;
  /** Seconds until the upstream had answered, of 95 in 100; 0 without requests. */
  p95: number;
}

interface Line {
  time?: string;
  path?: string;
  status?: number;
  upstream_seconds?: string;
}

/** Reads Nginx's access log, which Nginx writes with up to 5 s of delay. */
export async function traffic(config: Config, since: Date): Promise<Traffic> {
  const seconds: number[] = [];
  let errors = 0;
  for await (const line of logLines(config, since)) {
    const { time = '', path = '', status = 0, upstream_seconds = '' } = parse(line);
    const when = Date.parse(time);
    // A socket's request lasts as long as the socket does. In whole seconds, as the log's time is.
    if (path.startsWith('/socket.io/') || !(when >= since.getTime() - 999)) continue;
    if (status >= 500) errors++;
    // One number a try: `0.003`, or `2.001, 0.004`.
    seconds.push(upstream_seconds.split(/[,:]/).reduce((sum, each) => sum + (Number(each) || 0), 0));
  }
  seconds.sort((a, b) => a - b);
  return { requests: seconds.length, errors, p95: seconds[Math.floor(seconds.length * 0.95)] ?? 0 };
}

/** What is no line of the access log, such as one of the error log, is one of no time. */
function parse(line: string): Line {
  try {
    return JSON.parse(line) as Line;
  } catch {
    return {};
  }
}

/** By way of a file without a name: the log of some minutes may be large. */
async function* logLines(config: Config, since: Date): AsyncGenerator<string> {
  const directory = mkdtempSync(join(tmpdir(), 'access-log-'));
  const path = join(directory, 'log');
  const descriptor = openSync(path, 'wx', 0o600);
  try {
    const argv = ['docker', 'logs', '--since', since.toISOString(), containerOf(config, 'nginx')];
    await run(argv, { purpose: 'read Nginx’s log', stdout: descriptor });
    const file = await open(path);
    yield* file.readLines();
  } finally {
    closeSync(descriptor);
    rmSync(directory, { recursive: true });
  }
}

/** @returns why the traffic of a new release is worse than that before it, or undefined */
export function worse(before: Traffic, now: Traffic): string | undefined {
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
