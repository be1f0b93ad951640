import { closeSync, mkdtempDisposableSync, openSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { log } from '../core/log.ts';
import { type RunOptions, run } from '../core/shell.ts';
import { runOnce } from '../docker/commands.ts';
import { removeContainer } from '../docker/containers.ts';
import { exportsOf, migrationEnvironment } from './environment.ts';
import { endSessions, endWhenBlocking, migrationUrl } from './session.ts';

type Migrations = NonNullable<Config['migrate']>;

/** Seconds. */
const TIMEOUT = 3600;

/**
 * Migrates a database that is being restored, if migrations are configured and wanted.
 *
 * @throws like {@link migrate}; the live database is then unchanged
 */
export async function runMigrations(config: Config, database: string, wanted: boolean): Promise<void> {
  if (!config.migrate) log.info('migrations: not configured (BACKEND_IMAGE and MIGRATE_COMMAND are empty)');
  else if (!wanted) log.info('migrations: skipped');
  else {
    const state = 'the live database was not touched. Add --no-migrate to restore without migrating.';
    await migrate(config, config.migrate, database, { state });
    log.done(`migrated: ${config.migrate.command}`);
  }
}

interface Options {
  /** As in RunOptions. */
  state?: string;
  hint?: string;
  /** The database is in use: a migration that blocks other sessions is ended. */
  live?: boolean;
}

/**
 * Runs the product's migrations once, in a one-off container of the backend's image or on this host. Also after a failure,
 * removes the container and ends its database session, which would keep its locks.
 *
 * @throws CommandError when they fail, OperationalError when they take longer than an hour or block other sessions
 */
export async function migrate(
  config: Config,
  { command, image }: Migrations,
  database: string,
  { state, hint, live = false }: Options,
): Promise<void> {
  const options = { purpose: `run the migrations (${command})`, state, hint, timeout: TIMEOUT };
  const url = migrationUrl(config, database);
  const guard = live ? endWhenBlocking(config, database) : undefined;
  try {
    if (image) await inContainer(config, image, command, url, options);
    else await run(['bash', '-c', command], { ...options, env: { DATABASE_URL: url } });
  } catch (error) {
    throw guard?.blocked ?? error;
  } finally {
    guard?.stop();
    await endSessions(config, database);
  }
}

/** Passes the variables on standard input: `docker inspect` would show those of a container. */
async function inContainer(
  config: Config,
  image: string,
  command: string,
  url: string,
  options: Pick<RunOptions, 'purpose' | 'state' | 'hint' | 'timeout'>,
): Promise<void> {
  const { app, environment, postgres } = config;
  const name = `${app}-migrate-${environment}`;
  const remove = () => removeContainer(name);
  await remove(); // left by a killed run
  // In the database container's network, where PostgreSQL is 127.0.0.1, independent of the networks' names.
  const network = postgres.container ? `container:${postgres.container}` : 'host';
  // Its stdout goes to stderr, which the error message quotes.
  const script = 'eval "$(cat)"; exec sh -c "$1" </dev/null >&2';
  const stdin = secretInput(exportsOf(migrationEnvironment(config, url)));
  try {
    await run(runOnce(name, network, image, 'sh', '-c', script, 'sh', command), { ...options, stdin });
  } finally {
    closeSync(stdin);
    await remove();
  }
}

/** @returns a descriptor to read `text` from; its file is already deleted */
function secretInput(text: string): number {
  using directory = mkdtempDisposableSync(join(tmpdir(), 'input-'));
  const descriptor = openSync(join(directory.path, 'input'), 'wx+', 0o600);
  writeSync(descriptor, text, 0); // at a position: the file offset stays at 0, where the reader starts
  return descriptor;
}
