/** A release of the reference backend, whose containers are processes of this host. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, loadConfig } from '../../../scripts/lib/config/config.ts';
import type { Database } from '../app/app.ts';
import { BACKEND } from '../app/install-backend.ts';

export interface ReleaseHere {
  config: Config;
  /** Of every tag in the registry. */
  digest: string;
  /** The command lines of Docker, one a line. */
  calls: () => string;
  remove: () => void;
}

/** Puts a `docker` first on PATH that knows a registry, and runs commands without their image. */
export function releaseHere({ postgres }: Database): ReleaseHere {
  const home = mkdtempSync(join(tmpdir(), 'release-'));
  const digest = `sha256:${'0'.repeat(64)}`;
  writeFileSync(
    join(home, 'docker'),
    `#!/bin/bash
printf '%s\\n' "$*" >> '${home}/calls'
case "$1 $2" in
  'buildx imagetools') [ "$4" = --raw ] && echo '{}' || echo '{"digest": "${digest}"}';;
  'image inspect') echo sha256:1;;
  rm\\ *) ;;
  run\\ *) while [ "$1" != sh ]; do shift; done; cd '${BACKEND}' && NODE_COMPILE_CACHE='${BACKEND}/node_modules/.cache/node' exec "$@";;
  *) echo "no $1 here" >&2; exit 1;;
esac
`,
    { mode: 0o755 },
  );
  process.env.PATH = `${home}:${process.env.PATH}`;
  const [envFile, appFile] = ['env', 'env.app'].map(name => join(home, name));
  for (const path of [envFile!, appFile!]) writeFileSync(path, '', { mode: 0o600 });
  const read = loadConfig('production', {
    HOME: home,
    STATE_DIR: home,
    LOG_DIR: home,
    BACKEND_IMAGE: 'registry.example/shop/backend:1',
    FRONTEND_IMAGE: 'registry.example/shop/frontend:1',
    MIGRATE_COMMAND: `${process.execPath} src/migrate.ts deploy`,
    PGHOST: postgres.host!,
    PGPORT: `${postgres.port}`,
    POSTGRES_USER: postgres.user,
    POSTGRES_PASSWORD: postgres.password!,
    POSTGRES_DB: postgres.database,
    POSTGRES_CONTAINER: '',
    DATABASE_URL: 'postgresql://app@postgres.example/app',
    REDIS_PASSWORD: 'redis-password',
    REDIS_URL: 'redis://:redis-password@redis',
  });
  const config = { ...read, envFile: envFile!, appFile: appFile! };
  return {
    config,
    digest,
    calls: () => readFileSync(join(home, 'calls'), 'utf8'),
    remove: () => rmSync(home, { recursive: true }),
  };
}
