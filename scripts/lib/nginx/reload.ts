import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, ROOT } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { CommandError, run } from '../core/shell.ts';
import { containerOf } from '../docker/containers.ts';

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

/** What nginx/snippets/ says of how long Nginx itself waits; in seconds. */
export interface NginxTimes {
  /** `keepalive_min_timeout`: for so long after a reload an old worker may still begin a request by the old list. */
  oldWorkers: number;
  /**
   * `resolver_timeout` and the second after which Nginx asks again where it got no answer: the address of a name that is
   * new in a list is known by then, or the name has none.
   */
  resolve: number;
  /** The longest `proxy_read_timeout`: no request waits longer for its instance's answer. */
  answer: number;
}

/** @throws when a file does not say one of them as a number of ms, s, m or h */
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

/** Lists the workers that take connections; those that only end what they have are called `… is shutting down`. */
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
 * A reload that Nginx gives up on is only in its log: the old workers go on. So it counts when none of the
 * processes that took connections before still does.
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
  echo 'the old workers go on' >&2
  exit 1`;

/** Loads Nginx's configuration and waits until the old workers take no more connections. */
export async function reloadNginx(config: Config): Promise<void> {
  const hint = `docker logs --tail 20 ${containerOf(config, 'nginx')} says why.`;
  await inNginx(config, RELOAD, 'reload Nginx', hint);
}

/*
 * When the newest worker began is when the configuration was last loaded: field 22 of its stat, in hundredths of a
 * second since the boot.
 */
const CHANGED = `${WORKERS}
  boot=$(sed -n 's/^btime //p' /proc/stat)
  newest=0
  for p in $(workers); do
    began=$(cut -d ' ' -f 22 /proc/$p/stat) && [ "$began" -gt "$newest" ] && newest=$began
  done
  cd /etc/nginx/site && find . -name '*.conf' -not -path './upstreams/*' -newermt "@$((boot + newest / 100 + 1))"`;

/** @returns the files of nginx/ that were changed after Nginx last loaded them: the next reload will */
export async function changedSinceLoad(config: Config): Promise<string[]> {
  const found = await inNginx(config, CHANGED, 'look for changes of Nginx’s files');
  return found
    .split('\n')
    .filter(Boolean)
    .map(path => path.replace(/^\.\//, 'nginx/'))
    .sort();
}
