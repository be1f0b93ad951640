import { randomBytes } from 'node:crypto';
import type { Postgres } from '../config/config.ts';
import { log } from '../core/log.ts';
import { sh } from '../core/shell.ts';
import { untilPostgresReady } from './postgres-ready.ts';

const IMAGE = 'postgres:15-bookworm';

/** Starts a server in a container. @see startThrowawayPostgres for errors */
export async function startContainer(password: string) {
  const container = `throwaway-postgres-${randomBytes(4).toString('hex')}`;
  const postgres: Postgres = { user: 'postgres', password, database: 'postgres', container };
  const stop = async () => {
    const remove = sh(`remove container ${container}`, { evenInterrupted: true });
    await remove`docker rm --force --volumes ${container}`;
  };
  log.info(`there is no PostgreSQL server here: using Docker’s ${IMAGE}`);
  try {
    const start = sh(`start ${IMAGE}`, { timeout: 300, env: { POSTGRES_PASSWORD: password } });
    await start`docker run --detach --name ${container} --env POSTGRES_PASSWORD ${IMAGE}`;
    await untilPostgresReady(postgres);
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
  const unsupported = async () => {
    throw new Error('only a server that runs as a process can be halted and resumed');
  };
  return {
    postgres,
    env: {},
    description: `${IMAGE} in Docker`,
    halt: unsupported,
    resume: unsupported,
    stop,
  };
}
