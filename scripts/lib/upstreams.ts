import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Config, ROOT } from './config.ts';
import { OperationalError } from './errors.ts';
import { writeWhole } from './files.ts';
import { CommandError, run } from './shell.ts';
import { containerOf } from './stack.ts';

export type Upstream = 'backend' | 'frontend';

/** A line of nginx/upstreams/: `server backend-1:3000 weight=1 … resolve;`. */
export type ServerLine = string;

const pathOf = (upstream: Upstream) => join(ROOT, 'nginx/upstreams', `${upstream}.conf`);

/** @returns the service that a line names: `backend-1` */
export function serviceOf(line: ServerLine): string {
  return /^server ([\w-]+):/.exec(line)?.[1] ?? '';
}

/** @returns the line of one more backend: that of `like`, with the other's name and no weight but 1 */
export function lineFor(service: string, like: ServerLine): ServerLine {
  return like.replaceAll(serviceOf(like), service).replace(/ weight=\d+/, ' weight=1');
}

/** @returns the servers of a list, as Nginx will next read it */
export async function readUpstream(upstream: Upstream): Promise<ServerLine[]> {
  const text = await readFile(pathOf(upstream), 'utf8');
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line.startsWith('server '));
}

/** Whether Nginx runs with what lies on disk, as far as this process knows: one that was killed may not have come to it. */
let loaded = false;

/**
 * Writes a list, has Nginx test it with all the rest of its configuration, and reload. What Nginx refuses is taken
 * back. Resolves when the workers that take new connections know the list.
 */
export async function setUpstream(config: Config, upstream: Upstream, servers: ServerLine[]): Promise<void> {
  const before = await readFile(pathOf(upstream), 'utf8');
  const after = `${servers.join('\n')}\n`;
  if (after === before && loaded) return;
  loaded = false;
  await writeWhole(pathOf(upstream), after, 0o644);
  try {
    await testNginx(config);
  } catch (error) {
    await writeWhole(pathOf(upstream), before, 0o644);
    throw error;
  }
  await reloadNginx(config);
  loaded = true;
}

/** @throws when Nginx refuses its configuration as it lies on disk */
export async function testNginx(config: Config): Promise<void> {
  try {
    await inNginx(config, 'nginx -t -q', 'test Nginx’s configuration');
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const why = /\[emerg\] (?:\d+#\d+: )?(.*)/.exec(error.stderr)?.[1];
    if (!why) throw error;
    throw new OperationalError(`Nginx refuses its configuration: ${why}`, 'correct nginx/ and run it again.');
  }
}

/*
 * A reload that Nginx gives up on is only in its log: the old workers go on. So it counts when none of the
 * processes that took connections before still does.
 */
const RELOAD = `
  workers() { for p in /proc/[0-9]*; do case "$(tr '\\0' ' ' <$p/cmdline 2>/dev/null)" in "nginx: worker process "*"shutting down"*) ;; "nginx: worker process"*) echo "\${p#/proc/}";; esac; done; }
  old=$(workers)
  nginx -s reload || exit
  for i in $(seq 100); do
    now=" $(workers | tr '\\n' ' ') "
    for p in $old; do case "$now" in *" $p "*) now=; break;; esac; done
    [ -n "$now" ] && [ "$now" != "  " ] && exit 0
    sleep 0.1
  done
  echo 'the old workers go on' >&2
  exit 1`;

/** Loads Nginx's configuration and waits until the old workers take no more connections. */
export async function reloadNginx(config: Config): Promise<void> {
  const hint = `docker logs --tail 20 ${containerOf(config, 'nginx')} says why.`;
  await inNginx(config, RELOAD, 'reload Nginx', hint);
}

/** Runs a shell line in the Nginx container: what it reaches is what Nginx reaches. */
export function inNginx(
  config: Config,
  script: string,
  purpose: string,
  hint?: string,
  timeout = 60,
): Promise<string> {
  const argv = ['docker', 'exec', containerOf(config, 'nginx'), 'sh', '-c', script];
  return run(argv, { purpose, timeout, ...(hint ? { hint } : {}) });
}
