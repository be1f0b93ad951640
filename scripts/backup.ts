#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { dumpPipeline, globalsPipeline } from './lib/backup/artifact.ts';
import { localBackups, newestFirst } from './lib/backup/catalog.ts';
import { createBackup, planBackup } from './lib/backup/create.ts';
import type { Format } from './lib/backup/manifest.ts';
import { copyOffsite, openStore, tryStore } from './lib/backup/offsite-copy.ts';
import { retain } from './lib/backup/prune.ts';
import { removeWork, restoreDirectory } from './lib/backup/source.ts';
import { command, execute } from './lib/cli/command.ts';
import type { Config } from './lib/config/config.ts';
import { Exit, exitCodeOf, messageOf, usageError } from './lib/core/errors.ts';
import { bytes, count, duration } from './lib/core/format.ts';
import { withLock } from './lib/core/lock.ts';
import { log, logTo } from './lib/core/log.ts';
import { logMissingChannels, notify, ping } from './lib/notify/notify.ts';
import { producer } from './lib/postgres/client.ts';
import { totalRows } from './lib/postgres/row-counts.ts';

export const backup = command({
  summary: 'Back up the database: dump, verify, copy off-site, delete what is past its time.',
  usage: [
    '[--env production|staging] [--format plain|custom] [--label TEXT] [--no-upload] [--dry-run] [--json]',
  ],
  details:
    'plain (.sql.gz) can be restored with gunzip and psql alone; custom (.dump.zst) is faster both ways.\n' +
    'A backup counts once its manifest is there, after every byte on disk has been decoded.',
  options: {
    format: {
      type: 'string',
      value: 'plain|custom',
      help: 'form of the dump; default: BACKUP_FORMAT, else plain',
    },
    label: { type: 'string', value: 'TEXT', help: 'a word on why, kept in the manifest' },
    'no-upload': { type: 'boolean', help: 'no copy to S3 this time' },
    'dry-run': { type: 'boolean', help: 'check everything, show the commands, change nothing' },
  },
  examples: [
    ['backup.ts', 'production, as cron runs it'],
    ['backup.ts --label before-v2.4 --format custom', 'before something risky'],
    ['backup.ts --env staging --no-upload --json', 'for another program'],
  ],
  exitCodes: [
    [Exit.done, 'backed up, verified, copied off-site if S3 is configured'],
    [Exit.failed, 'failed; there is no new backup'],
    [Exit.usage, 'wrong flags or configuration'],
    [Exit.verification, 'the dump could not be read back; it was thrown away'],
    [Exit.offsite, 'backed up and verified here, but the copy to S3 failed'],
    [Exit.locked, 'another run holds the lock'],
  ],
  changesState: true,
  async run({ options, config: load }) {
    const config = load();
    const format = formatOf(options.format ?? config.format);
    logTo(`${config.logDir}/backup.log`);
    log.info(`backup of ${config.postgres.database} (${config.environment}, ${format})`);
    if (options['dry-run']) return describe(config, format);
    return withLock(config.stateDir, config.environment, 'backup.ts', async () => {
      await ping(config, 'start');
      try {
        const result = await backUp(config, { format, label: options.label, upload: !options['no-upload'] });
        await tell(config, result.exitCode ?? Exit.done, result.text);
        return result;
      } catch (error) {
        await tell(config, exitCodeOf(error), `backup FAILED: ${messageOf(error)}`);
        throw error;
      }
    });
  },
});

function formatOf(text: string): Format {
  if (text === 'plain' || text === 'custom') return text;
  throw usageError(`there is no format ${JSON.stringify(text)}`, 'use --format plain or --format custom.');
}

export async function backUp(config: Config, wanted: { format: Format; label?: string; upload: boolean }) {
  const started = performance.now();
  await removeWork(restoreDirectory(config)); // a killed restore's; it takes space
  const store = config.s3 && wanted.upload ? await openStore(config.s3) : undefined;
  const [plan] = await Promise.all([planBackup(config, wanted.format), store && tryStore(store)]);
  logMissingChannels(config);
  log.changesBegin();
  const [previous] = newestFirst(await localBackups(config));
  const manifest = await createBackup(config, plan, wanted);
  const failure = store && (await copyOffsite(config, store, manifest));
  const warnings = await retain(config, store, manifest, previous?.manifest, failure);
  const seconds = (performance.now() - started) / 1000;
  const offsite = failure
    ? 'FAILED'
    : store
      ? 'done'
      : wanted.upload
        ? 'not configured (S3_BUCKET is empty)'
        : 'skipped (--no-upload)';
  const rows = `${count(totalRows(manifest.tables))} rows`;
  return {
    exitCode: failure ? failure.exitCode : Exit.done,
    text: [
      `backup ${manifest.id}: ${bytes(manifest.artifact.bytes)}, ${rows}, in ${duration(seconds)}; off-site copy: ${offsite}`,
      ...warnings,
    ].join('\n'),
    json: { backup: manifest, offsite, warnings, seconds },
  };
}

async function tell(config: Config, exitCode: number, text: string): Promise<void> {
  await Promise.all([notify(config, text, exitCode), ping(config, exitCode)]);
}

/** What a run would do, after looking whether it could. */
async function describe(config: Config, format: Format) {
  const plan = await planBackup(config, format);
  const commands = [dumpPipeline(config.postgres.database, format, 'SNAPSHOT'), globalsPipeline()].map(
    argv => producer(config.postgres, argv).argv,
  );
  const offsite = config.s3 ? `s3://${config.s3.bucket}/${config.s3.prefix}/` : 'not configured';
  return {
    text: [
      `would back up ${config.postgres.database} into ${config.backupDir}, about ${bytes(plan.estimate)}:`,
      ...commands.map(argv => `  ${argv.join(' ')}`),
      `off-site copy: ${offsite}`,
    ].join('\n'),
    json: { dryRun: true, estimate: plan.estimate, commands, offsite },
  };
}

if (import.meta.main) await execute(backup);
