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
import { queryOf, runSql } from '../postgres/client.ts';
import { drop, oidOf } from '../postgres/databases.ts';
import { fingerprint, totalRows } from '../postgres/row-counts.ts';
import type { DrillReport } from './report.ts';
import { sampleData } from './sample-data.ts';
import { startThrowawayPostgres } from './throwaway-postgres.ts';
import { startThrowawayS3 } from './throwaway-s3.ts';

const DATABASE = 'drill';

/**
 * The main job from end to end with nothing configured: servers of its own, sample data, backup.ts and
 * restore.ts as an operator runs them. Nothing of it is left when it returns or is interrupted.
 *
 * @param scale how much data: see {@link sampleData}
 * @throws exit code 3 when what came back is not what was there
 */
export async function embeddedDrill(scale = 1): Promise<DrillReport> {
  const started = new Date();
  const clock = stopwatch();
  const undo: (() => Promise<unknown>)[] = [];
  try {
    const directory = await mkdtemp(join(tmpdir(), 'drill-'));
    undo.push(() => rm(directory, { recursive: true, force: true }));
    const server = await startThrowawayPostgres();
    undo.push(server.stop);
    const store = await startThrowawayS3();
    undo.push(store.stop);
    const env = {
      ...unset(VARIABLES),
      ...server.env,
      ...store.env,
      ...directories(directory),
      POSTGRES_DB: DATABASE,
    };
    const config = loadConfig('production', { ...process.env, ...env });
    log.done(`started ${server.description} and an S3 server on ${store.endpoint}`);
    clock.lap('start servers');

    await fill(config, scale);
    const before = await fingerprint(queryOf(config.postgres, DATABASE));
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

    refuseDifferences(before, await fingerprint(queryOf(config.postgres, DATABASE)));
    log.done('every table is back: the same rows, the same content');
    clock.lap('compare');
    const { restore, compare } = clock.laps();
    return {
      time: started.toISOString(),
      environment: 'embedded',
      backup: backup.id,
      format: backup.format,
      artifactBytes: backup.artifact.bytes,
      databaseBytes: backup.databaseBytes,
      tables: before.length,
      rows: totalRows(before),
      seconds: clock.laps(),
      rto: restore! + compare!,
      rtoObjective: config.rto,
      rpo,
      rpoObjective: config.rpo,
    };
  } finally {
    for (const step of undo.reverse())
      await step().catch((error: Error) => log.warn(`left over: ${error.message}`));
  }
}

/** A file `.env.production` of a real server must not reach into the drill; an empty variable overrides it. */
const unset = (names: string[]) => Object.fromEntries(names.map(name => [name, '']));

const directories = (root: string) => ({
  BACKUP_DIR: join(root, 'backups'),
  LOG_DIR: join(root, 'logs'),
  STATE_DIR: join(root, 'state'),
});

async function fill({ postgres }: Config, scale: number): Promise<void> {
  await runSql(postgres, 'postgres', `CREATE DATABASE ${DATABASE}`, {
    purpose: 'create the drill’s database',
  });
  await runSql(postgres, DATABASE, sampleData(scale), { purpose: 'fill the drill’s database' });
}

/** Runs one of the scripts as an operator does, its messages shown as they come. @returns its JSON */
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
    `what came back is not what was there: ${lost.join(', ')}`,
    'this is a bug worth reporting.',
  );
}

type Fingerprints = Awaited<ReturnType<typeof fingerprint>>;
