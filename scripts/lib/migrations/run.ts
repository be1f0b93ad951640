import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { messageOf, OperationalError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { run } from '../core/shell.ts';
import { sleep } from '../core/signals.ts';
import { databaseUrl, literal, query, runSql } from '../postgres/client.ts';

type Migrations = NonNullable<Config['migrate']>;

/** What a session of migrations is called in pg_stat_activity. */
const APPLICATION = 'neurmatic-migrate';
/** Seconds that a migration waits for a lock, since everybody else then waits behind it, and that others wait for it. */
const PATIENCE = 5;
/*
 * The second: a server that is busy with a statement does not notice that its client is gone unless it looks, and
 * nobody is left to end the session where this process was killed.
 */
const SETTINGS = `-c lock_timeout=${PATIENCE}s -c client_connection_check_interval=2s`;

/**
 * Runs the product's migrations against one database, in a one-off container of the backend's image or here.
 * A failure leaves the live database untouched.
 */
export async function runMigrations(config: Config, database: string, wanted: boolean): Promise<void> {
  if (!config.migrate) log.info('migrations: not configured (BACKEND_IMAGE and MIGRATE_COMMAND are empty)');
  else if (!wanted) log.info('migrations: skipped');
  else {
    const hint = 'the live database was not touched. Add --no-migrate to restore without migrating.';
    await migrate(config, config.migrate, database, { hint });
    log.done(`migrated: ${config.migrate.command}`);
  }
}

interface Options {
  hint: string;
  /** The database serves meanwhile: a migration that others wait for is ended. */
  live?: boolean;
}

/**
 * Runs migrations once and leaves nothing behind: neither the container nor its session, which would hold its locks,
 * outlives a failure.
 */
export async function migrate(
  config: Config,
  { command, image }: Migrations,
  database: string,
  { hint, live = false }: Options,
): Promise<void> {
  const purpose = `run the migrations (${command})`;
  const url = databaseUrl(config.postgres, database);
  const parameters = `application_name=${APPLICATION}&options=${encodeURIComponent(SETTINGS)}`;
  const env = { DATABASE_URL: url + (url.includes('?') ? '&' : '?') + parameters };
  const guard = live ? watchForBlocked(config, database) : undefined;
  try {
    const migrating = image
      ? inContainer(config, image, command, env.DATABASE_URL, { purpose, hint })
      : run(['bash', '-c', command], { purpose, hint, timeout: 3600, env });
    await migrating.catch(error => {
      throw guard?.blocked ?? error;
    });
  } finally {
    guard?.stop();
    await endSessions(config, database);
  }
}

/**
 * The address goes in by standard input: as an environment variable it would stand in `docker inspect` for as long as
 * the container does.
 */
async function inContainer(
  { app, environment, postgres }: Config,
  image: string,
  command: string,
  url: string,
  said: { purpose: string; hint: string },
): Promise<void> {
  const name = `${app}-migrate-${environment}`;
  const remove = () =>
    run(['docker', 'rm', '--force', name], { purpose: `remove container ${name}`, evenInterrupted: true });
  await remove(); // of a run that was killed
  // In the database container's network, where it is 127.0.0.1 whatever the networks are called.
  const network = postgres.container ? `container:${postgres.container}` : 'host';
  const rights = ['--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--pids-limit', '256'];
  const argv = [
    'docker',
    'run',
    '--rm',
    '--interactive',
    '--init', // a program that is process 1 does not hear SIGTERM, which a killed run's `docker run` passes on
    '--name',
    name,
    '--network',
    network,
    ...rights,
    image,
  ];
  // What it logs on its output is what a failure is explained by.
  const script = 'IFS= read -r DATABASE_URL; export DATABASE_URL; exec sh -c "$1" </dev/null >&2';
  const stdin = secretInput(`${url}\n`);
  try {
    await run([...argv, 'sh', '-c', script, 'sh', command], { ...said, stdin, timeout: 3600 });
  } finally {
    closeSync(stdin);
    await remove();
  }
}

/** @returns a descriptor to read `text` from; the file has no name any more */
function secretInput(text: string): number {
  const directory = mkdtempSync(join(tmpdir(), 'input-'));
  try {
    const descriptor = openSync(join(directory, 'input'), 'wx+', 0o600);
    writeSync(descriptor, text, 0); // at a position of its own: the reader begins at the first byte
    return descriptor;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Ends a migration's session when others have waited for its locks for longer than they should. */
function watchForBlocked({ postgres }: Config, database: string) {
  let over = false;
  const state: { blocked?: OperationalError; stop: () => void } = {
    stop: () => {
      over = true;
    },
  };
  const look = async () => {
    while (!over) {
      const [row] = await query<{ count: number }>(
        postgres,
        database,
        `SELECT count(*)::int AS count FROM pg_stat_activity AS waiting
         WHERE wait_event_type = 'Lock' AND state_change < now() - interval '${PATIENCE} seconds'
         AND pg_blocking_pids(pid) && ARRAY(SELECT pid FROM pg_stat_activity WHERE application_name = ${literal(APPLICATION)})`,
      );
      if (row && row.count > 0 && !over) {
        state.blocked = new OperationalError(
          `the migration was ended: ${row.count} session(s) of the application waited for its locks for ${PATIENCE} s`,
          'write it so that it holds locks for a moment only: batches, CONCURRENTLY, NOT VALID and VALIDATE.',
        );
        await endSessions({ postgres }, database);
      }
      await sleep(1);
    }
  };
  look().catch(error => log.warn(`no longer watching whom the migration blocks: ${messageOf(error)}`));
  return state;
}

async function endSessions({ postgres }: Pick<Config, 'postgres'>, database: string): Promise<void> {
  const sql = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = ${literal(APPLICATION)} AND datname = ${literal(database)}`;
  try {
    await runSql(postgres, database, sql, {
      purpose: 'end the migration’s session',
      timeout: 10,
      evenInterrupted: true,
    });
  } catch (error) {
    log.warn(messageOf(error)); // the migration's own failure matters more
  }
}
