import type { Config } from './config.ts';
import { inNginx } from './upstreams.ts';

/*
 * When the newest worker began is when the configuration was last loaded: field 22 of its stat, in hundredths of a
 * second since the boot.
 */
const CHANGED = `
  boot=$(sed -n 's/^btime //p' /proc/stat)
  newest=0
  for p in /proc/[0-9]*; do
    case "$(tr '\\0' ' ' <$p/cmdline 2>/dev/null)" in 'nginx: worker process '*) ;; *) continue;; esac
    began=$(cut -d ' ' -f 22 $p/stat) && [ "$began" -gt "$newest" ] && newest=$began
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
