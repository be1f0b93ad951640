import { mkdtempSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { World } from '../core/world.ts';

/*
 * Like the real one, it passes input and output on, and killing it ends nothing of what it started: that only sees the
 * end of its input.
 */
const docker = ({ PGHOST, PGPORT }: Record<string, string>) => `#!/bin/bash
[ "$1" = exec ] || exit 64
shift
while [[ $1 == -* ]]; do [ "$1" = -e ] && shift; shift; done
shift
set -o pipefail
exec 5<&0
# In a container the server's socket is where libpq looks for it.
words=()
for word; do
  case $word in PGHOST) word=PGHOST_;; PGPORT) word=PGPORT_;; esac
  words+=("$word")
done
export PGHOST='${PGHOST}' PGPORT='${PGPORT}'
{ setsid --wait "\${words[@]}" < <(exec cat <&5 6>&- 2>/dev/null) 2>&1 >&6 6>&- | cat >&2; } 6>&1 | cat
`;

/** The variables that make a script reach the world's server through a `docker exec`, which runs programs of this host. */
export function throughDocker(world: World): { PATH: string; POSTGRES_CONTAINER: string } {
  const directory = mkdtempSync(join(world.directory, 'docker-'));
  writeFileSync(join(directory, 'docker'), docker(world.env), { mode: 0o755 });
  return {
    PATH: `${directory}${delimiter}${world.env.PATH}`,
    POSTGRES_CONTAINER: 'postgres',
  };
}
