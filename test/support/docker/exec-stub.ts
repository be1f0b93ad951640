import { mkdtempSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { World } from '../core/world.ts';

/*
 * Like the real one, it passes input and output on, and killing it ends nothing of what it started: that only sees the
 * end of its input.
 */
const DOCKER = `#!/bin/bash
[ "$1" = exec ] || exit 64
shift
while [[ $1 == -* ]]; do [ "$1" = -e ] && shift; shift; done
shift
set -o pipefail
exec 5<&0
{ setsid --wait "$@" < <(exec cat <&5 6>&- 2>/dev/null) 2>&1 >&6 6>&- | cat >&2; } 6>&1 | cat
`;

/** The variables that make a script reach the world's server through a `docker exec`, which runs programs of this host. */
export function throughDocker(world: World): { POSTGRES_CONTAINER: string } & Record<string, string> {
  const directory = mkdtempSync(join(world.directory, 'docker-'));
  writeFileSync(join(directory, 'docker'), DOCKER, { mode: 0o755 });
  const { POSTGRES_USER, POSTGRES_PASSWORD, PGHOST, PGPORT } = world.env as Record<string, string>;
  return {
    PATH: `${directory}${delimiter}${world.env.PATH}`,
    POSTGRES_CONTAINER: 'postgres',
    POSTGRES_USER: POSTGRES_USER!,
    POSTGRES_PASSWORD: POSTGRES_PASSWORD!,
    PGHOST: PGHOST!, // libpq's; the scripts do not pass them to a container
    PGPORT: PGPORT!,
  };
}
