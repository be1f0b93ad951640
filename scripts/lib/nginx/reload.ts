import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, ROOT } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { CommandError, type RunOptions, sh } from '../core/shell.ts';
import { containerOf } from '../docker/containers.ts';
import { UPDATE_SETTINGS } from './settings.ts';

/**
 * Runs a shell script in Nginx's container: what it reaches is what Nginx reaches.
 *
 * @throws CommandError when it does not exit with 0; OperationalError when it takes longer than `timeout` seconds
 */
export function inNginx(
  config: Config,
  script: string,
  purpose: string,
  options: Pick<RunOptions, 'hint' | 'timeout'> = {},
): Promise<string> {
  return sh(purpose, options)`docker exec ${containerOf(config, 'nginx')} sh -c ${script}`;
}

/** Has Nginx test its configuration as it is on disk. @throws OperationalError with Nginx's reason when it refuses it */
export async function testNginx(config: Config): Promise<void> {
  try {
    await inNginx(config, 'nginx -t -q', 'test Nginx’s configuration');
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const why = /\[emerg\] (?:\d+#\d+: )?(.*)/.exec(error.stderr)?.[1];
    if (!why) throw error;
    // Only a container that is made again gets these.
    const hint = why.includes('"/run/settings/')
      ? `replace its container: ${UPDATE_SETTINGS}`
      : 'correct nginx/ and run it again.';
    throw new OperationalError(`Nginx refuses its configuration: ${why}`, hint);
  }
}

/** Seconds that Nginx itself waits, from nginx/snippets/. */
interface NginxTimes {
  /**
   * How long after a reload an old worker may still accept a request, by the old list:
   * https://nginx.org/en/docs/http/ngx_http_core_module.html#keepalive_min_timeout
   */
  oldWorkers: number;
  /**
   * How long Nginx looks for the address of a name that is new in a list: `resolver_timeout`, and the second after which
   * it asks again. https://nginx.org/en/docs/http/ngx_http_core_module.html#resolver_timeout
   */
  resolve: number;
  /** The longest `proxy_read_timeout`: no request waits longer for its instance's answer. */
  answer: number;
}

/** @throws OperationalError when a snippet lacks one of them, or gives it in another unit than ms, s, m or h */
export function nginxTimes(): NginxTimes {
  return {
    oldWorkers: longest('keepalive_min_timeout', 'http'),
    resolve: longest('resolver_timeout', 'http') + 1,
    answer: longest('proxy_read_timeout', 'api'),
  };
}

const UNITS: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600 };

function longest(directive: string, snippet: string): number {
  const text = readFileSync(join(ROOT, `nginx/snippets/${snippet}.conf`), 'utf8');
  const found = [...text.matchAll(new RegExp(`^\\s*${directive}\\s+(\\d+)(ms|[smh]);`, 'gm'))];
  if (found.length === 0) {
    throw new OperationalError(
      `nginx/snippets/${snippet}.conf has no line such as \`${directive} 5s;\``,
      'add it: a deployment waits as long as it says.',
    );
  }
  return Math.max(...found.map(([, number, unit]) => Number(number) * UNITS[unit!]!));
}

/** Lists the workers that accept connections; those that only finish their requests are called `… is shutting down`. */
const WORKERS = `
  workers() {
    for p in /proc/[0-9]*; do
      case "$(tr '\\0' ' ' <$p/cmdline 2>/dev/null)" in
        'nginx: worker process '*'shutting down'*) ;;
        'nginx: worker process'*) echo "\${p#/proc/}";;
      esac
    done
  }`;

/*
 * `nginx -s reload` exits with 0 even when the reload fails: only Nginx's log says so, and the old workers keep running.
 * So a reload has succeeded when no worker that accepted connections before still does.
 */
const RELOAD = `${WORKERS}
  old=$(workers)
  nginx -s reload || exit
  for i in $(seq 100); do
    now=" $(workers | tr '\\n' ' ') "
    for p in $old; do case "$now" in *" $p "*) now=; break;; esac; done
    [ -n "$now" ] && [ "$now" != "  " ] && exit 0
    sleep 0.1
  done
  echo 'the old workers still accept connections' >&2
  exit 1`;

/**
 * Loads Nginx's configuration and waits until the old workers accept no more connections.
 *
 * @throws CommandError when they still do after 10 s
 */
export async function reloadNginx(config: Config): Promise<void> {
  const hint = `docker logs --tail 20 ${containerOf(config, 'nginx')} says why.`;
  await inNginx(config, RELOAD, 'reload Nginx', { hint });
}

/*
 * The configuration was last loaded when the newest worker started: field 22 of its stat, in hundredths of a second since
 * the boot (proc_pid_stat(5)).
 */
const CHANGED = `${WORKERS}
  boot=$(sed -n 's/^btime //p' /proc/stat)
  newest=0
  for p in $(workers); do
    began=$(cut -d ' ' -f 22 /proc/$p/stat) && [ "$began" -gt "$newest" ] && newest=$began
  done
  cd /etc/nginx/site && find . -name '*.conf' -not -path './upstreams/*' -newermt "@$((boot + newest / 100 + 1))"`;

/** @returns the files of nginx/ that have changed since Nginx last loaded its configuration: the next reload loads them */
export async function changedSinceLoad(config: Config): Promise<string[]> {
  const found = await inNginx(config, CHANGED, 'look for changes of Nginx’s files');
  return found
    .split('\n')
    .filter(Boolean)
    .map(path => path.replace(/^\.\//, 'nginx/'))
    .sort();
}
