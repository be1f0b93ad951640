import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Manifest } from '../backup/manifest.ts';
import { type Config, loadConfig, ROOT } from '../config/config.ts';
import { VARIABLES } from '../config/variables.ts';
import { verificationError } from '../core/errors.ts';
import { count, plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import { run } from '../core/shell.ts';
import { stopwatch } from '../core/step-timer.ts';
import { runSql } from '../postgres/client.ts';
import { oidOf } from '../postgres/databases.ts';
import { drop } from '../postgres/drop.ts';
import { queryOf } from '../postgres/query.ts';
import { fingerprint, totalRows } from '../postgres/row-counts.ts';
import { type DrillReport, drillReport } from './report.ts';
import { sampleData } from './sample-data.ts';
import { startThrowawayPostgres } from './throwaway-postgres.ts';
import { startThrowawayS3 } from './throwaway-s3.ts';

const DATABASE = 'drill';
const HASH_SECONDS = 900;

/**
 * Backs up, destroys and restores a sample database on temporary servers, with backup.ts and restore.ts as an operator
 * runs them. Nothing is left when it returns or is interrupted.
 *
 * @param scale how much data: see {@link sampleData}
 * @throws exit code 3 where the restored data differs; OperationalError where a server can't be started
 */
export async function embeddedDrill(scale = 1): Promise<DrillReport> {
  const started = new Date();
  const clock = stopwatch();
  const cleanUp: (() => Promise<unknown>)[] = [];
  try {
    const store = await startThrowawayS3(); // first: it is what an image without development dependencies lacks
    cleanUp.push(store.stop);
    const server = await startThrowawayPostgres();
    cleanUp.push(server.stop);
    const directory = await mkdtemp(join(tmpdir(), 'drill-'));
    cleanUp.push(() => rm(directory, { recursive: true, force: true }));
    const env = embeddedEnvironment(directory, { ...server.env, ...store.env });
    const config = loadConfig('production', { ...process.env, ...env });
    log.done(`started ${server.description} and an S3 server on ${store.endpoint}`);
    clock.lap('start servers');

    await fill(config, scale);
    const hash = () => fingerprint(queryOf(config.postgres, DATABASE, { timeout: HASH_SECONDS }));
    const before = await hash();
    log.done(`filled ${DATABASE}: ${count(totalRows(before))} rows in ${plural(before.length, 'table')}`);
    clock.lap('fill and hash');

    const { backup } = await script<{ backup: Manifest }>('backup.ts', ['--format', 'plain'], env);
    clock.lap('backup');
    await drop(config.postgres, DATABASE);
    if ((await oidOf(config.postgres, DATABASE)) !== undefined)
      throw new Error('the database is still there');
    log.done(`destroyed database ${DATABASE}`);
    clock.lap('destroy');
    await script('restore.ts', ['latest', '--from', 's3', '--yes'], env);
    clock.lap('restore');
    const rpo = (Date.now() - Date.parse(backup.snapshotAt)) / 1000;

    refuseDifferences(before, await hash());
    log.done('every table is back, with the same rows and content');
    clock.lap('compare');
    const seconds = clock.laps();
    const rto = seconds.restore! + seconds.compare!;
    return drillReport({ ...config, environment: 'embedded' }, backup, { started, seconds, rto, rpo });
  } finally {
    for (const step of cleanUp.reverse())
      await step().catch((error: Error) => log.warn(`could not clean up: ${error.message}`));
  }
}

/**
 * @param servers how the database and the store are reached
 * @returns the variables of the drill's scripts: nothing of a real server's, and no hooks
 */
export function embeddedEnvironment(
  directory: string,
  servers: Record<string, string>,
): Record<string, string> {
  return {
    ...Object.fromEntries(VARIABLES.map(name => [name, ''])), // overrides the .env.production of a real server
    ...servers,
    BACKUP_DIR: join(directory, 'backups'),
    LOG_DIR: join(directory, 'logs'),
    STATE_DIR: join(directory, 'state'),
    HOOKS_DIR: join(directory, 'hooks'),
    POSTGRES_DB: DATABASE,
    BACKUP_SIGNING_KEY: randomBytes(32).toString('hex'), // else the backup makes one in a real server's file
  };
}

async function fill({ postgres }: Config, scale: number): Promise<void> {
  await runSql(postgres, 'postgres', `CREATE DATABASE ${DATABASE}`, {
    purpose: 'create the drill’s database',
  });
  await runSql(postgres, DATABASE, sampleData(scale), {
    purpose: 'fill the drill’s database',
    settings: '-c search_path=public',
  });
}

/** Runs a script as an operator does and shows its messages. @returns its JSON */
async function script<T>(name: string, args: string[], env: Record<string, string>): Promise<T> {
  log.info(`\n$ ./scripts/${name} ${args.join(' ')}`);
  const argv = [join(ROOT, 'scripts', name), ...args, '--env', 'production', '--json'];
  const output = await run(argv, { purpose: `run ${name}`, env, stderr: 'inherit', timeout: 900 });
  return JSON.parse(output) as T;
}

function refuseDifferences(before: Fingerprints, after: Fingerprints): void {
  const text = (tables: Fingerprints) =>
    tables.map(table => `${table.schema}.${table.name} ${table.rows} ${table.hash}`);
  const found = new Set(text(after));
  const lost = text(before).filter(line => !found.has(line));
  if (lost.length === 0 && after.length === before.length) return;
  throw verificationError(
    `the restored data is not the data that was backed up: ${lost.join(', ')}`,
    'this is a bug: please report it.',
  );
}

type Fingerprints = Awaited<ReturnType<typeof fingerprint>>;
