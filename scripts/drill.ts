#!/usr/bin/env -S sh -c 'n="$(readlink -f "$0")"; n="${n%/*}/../node_modules"; NODE_COMPILE_CACHE="$n/.cache/node" NODE_COMPILE_CACHE_PORTABLE=1 exec "$n/.bin/node" --no-concurrent-sparkplug --no-concurrent-recompilation "$0" "$@"'
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { command, execute } from './lib/cli.ts';
import type { Config } from './lib/config.ts';
import { besideName, drop } from './lib/database.ts';
import { type DrillReport, draw, keepReport, missed } from './lib/drill.ts';
import { embeddedDrill } from './lib/embedded-drill.ts';
import { Exit, exitCodeOf, messageOf } from './lib/errors.ts';
import { privateDirectory } from './lib/files.ts';
import { loadInto } from './lib/load.ts';
import { withLock } from './lib/lock.ts';
import { log, logTo } from './lib/log.ts';
import { notify } from './lib/notify.ts';
import { serverFacts } from './lib/postgres.ts';
import { preflight } from './lib/preflight.ts';
import { dropLeftovers, refuseImpossible } from './lib/restore.ts';
import { checkSource, describeSource, fetchSource, findSource } from './lib/source.ts';
import { stopwatch } from './lib/stopwatch.ts';
import { totalRows } from './lib/tables.ts';

export const drill = command({
  summary: 'Prove that the newest off-site backup restores, and measure how long that takes.',
  usage: ['[--env production|staging] [--json]', '--embedded [--json]'],
  details:
    'Restores into a scratch database beside the live one, which is not touched, compares every table’s rows and\n' +
    'drops it again. Keeps state/drills/<time>.json and a line in state/drills/report.md.',
  options: {
    embedded: { type: 'boolean', help: 'servers and data of its own; needs and touches no configuration' },
  },
  examples: [
    ['drill.ts', 'the newest backup of production in S3'],
    ['npm run drill', 'the whole cycle on an empty machine: back up, destroy, restore, compare'],
  ],
  exitCodes: [
    [Exit.done, 'restored and compared, within the objectives'],
    [Exit.failed, 'could not be tried'],
    [Exit.usage, 'wrong flags or configuration'],
    [Exit.verification, 'no backup, a damaged one, or RTO_OBJECTIVE or RPO_OBJECTIVE missed'],
    [Exit.offsite, 'S3 can’t be read'],
    [Exit.locked, 'another drill is under way'],
  ],
  changesState: true,
  async run({ options, config: load }) {
    if (options.embedded) return conclude(await embeddedDrill());
    const config = load();
    logTo(`${config.logDir}/drill.log`);
    return withLock(config.stateDir, `${config.environment}.drill`, 'drill.ts', async () => {
      try {
        const report = await drillOn(config);
        const path = await keepReport(config, report);
        log.done(`kept as ${path}`);
        const result = conclude(report);
        await notify(config, `drill of ${report.backup}: ${result.text.split('\n').at(-1)}`, result.exitCode);
        return result;
      } catch (error) {
        await notify(config, `drill FAILED: ${messageOf(error)}`, exitCodeOf(error));
        throw error;
      }
    });
  },
});

async function drillOn(config: Config): Promise<DrillReport> {
  const { postgres } = config;
  const started = new Date();
  const fetched = join(config.backupDir, `.drill-${config.environment}`);
  const [server] = await preflight(
    () => serverFacts(postgres),
    () => privateDirectory(config.backupDir, 'BACKUP_DIR'),
  );
  await dropLeftovers(postgres, postgres.database, 'drill');
  const scratch = besideName(postgres.database, 'drill', []);
  const clock = stopwatch();
  try {
    const found = await findSource(config, 'latest', 's3');
    const manifest = found.manifest!; // `latest` is never without one
    log.info(`drill with ${describeSource(found)}`);
    const source = await fetchSource(found, fetched);
    clock.lap('fetch');
    await checkSource(postgres, source);
    clock.lap('verify');
    await refuseImpossible(config, source, server, scratch);
    log.changesBegin();
    await loadInto(config, source, scratch, postgres.database);
    clock.lap('restore and compare');
    return {
      time: started.toISOString(),
      environment: config.environment,
      backup: manifest.id,
      format: manifest.format,
      artifactBytes: manifest.artifact.bytes,
      databaseBytes: manifest.databaseBytes,
      tables: manifest.tables.length,
      rows: totalRows(manifest.tables),
      seconds: clock.laps(),
      rto: clock.total(),
      rtoObjective: config.rto,
      rpo: (started.getTime() - Date.parse(manifest.snapshotAt)) / 1000,
      rpoObjective: config.rpo,
    };
  } finally {
    await drop(postgres, scratch);
    await rm(fetched, { recursive: true, force: true });
  }
}

function conclude(report: DrillReport) {
  const problems = missed(report);
  const verdict =
    problems.length === 0
      ? 'drill passed: the backup restores, and in time'
      : `drill FAILED: ${problems.join('; ')}`;
  return {
    exitCode: problems.length === 0 ? Exit.done : Exit.verification,
    text: `${draw(report)}\n\n${verdict}`,
    json: { ...report, missed: problems },
  };
}

if (import.meta.main) await execute(drill);
