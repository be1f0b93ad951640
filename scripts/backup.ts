#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import type { Format } from './lib/backup/manifest.ts';
import { backUp, dryRun } from './lib/backup/run-backup.ts';
import { command, execute } from './lib/cli/command.ts';
import type { Config } from './lib/config/config.ts';
import { Exit, exitCodeOf, messageOf, usageError } from './lib/core/errors.ts';
import { withLock } from './lib/core/lock.ts';
import { log, logTo } from './lib/core/log.ts';
import { notify, ping } from './lib/notify/notify.ts';
import { sweepAll } from './lib/restore/leftovers.ts';

export const backup = command({
  summary: 'Back up the database: dump, verify, copy off-site, delete expired backups.',
  usage: [
    '[--env production|staging] [--format plain|custom] [--label TEXT] [--no-upload] [--dry-run] [--json]',
  ],
  details:
    'plain (.sql.gz) can be restored with gunzip and psql alone; custom (.dump.zst) is faster both ways.\n' +
    'The manifest is written last, after every byte on disk has been decoded: without it there is no backup.',
  options: {
    format: {
      type: 'string',
      value: 'plain|custom',
      help: 'format of the dump; default: BACKUP_FORMAT, else plain',
    },
    label: { type: 'string', value: 'TEXT', help: 'the reason, stored in the manifest' },
    'no-upload': { type: 'boolean', help: 'do not copy to S3' },
    'dry-run': {
      type: 'boolean',
      help: 'run all checks, also of S3; print commands to the same effect, change nothing',
    },
  },
  examples: [
    ['backup.ts', 'production, as cron runs it'],
    ['backup.ts --label before-v2.4 --format custom', 'before a risky change'],
    ['backup.ts --env staging --no-upload --json', 'JSON for another program'],
  ],
  exitCodes: [
    [Exit.done, 'backed up, verified, copied off-site if S3 is configured'],
    [Exit.failed, 'failed; there is no new backup'],
    [Exit.usage, 'wrong flags or configuration'],
    [Exit.verification, 'the dump could not be read back and was deleted'],
    [Exit.offsite, 'backed up and verified here, but the copy to S3 or the retention there failed'],
    [Exit.locked, 'another run holds the lock'],
  ],
  changesState: true,
  async run({ options, config: load }) {
    const config = load();
    const format = formatOf(options.format ?? config.format);
    logTo(`${config.logDir}/backup.log`, options['dry-run']);
    log.info(`backup of ${config.postgres.database} (${config.environment}, ${format})`);
    if (options['dry-run']) return dryRun(config, format);
    return withLock(config.stateDir, config.environment, 'backup.ts', async () => {
      await ping(config, 'start');
      try {
        await sweepAll(config);
        const upload = !options['no-upload'];
        const result = await backUp(config, { format, label: options.label, upload, sendMissing: true });
        await announce(config, result.exitCode ?? Exit.done, result.text);
        return result;
      } catch (error) {
        await announce(config, exitCodeOf(error), `backup FAILED: ${messageOf(error)}`);
        throw error;
      }
    });
  },
});

function formatOf(text: string): Format {
  if (text === 'plain' || text === 'custom') return text;
  throw usageError(`unknown format ${JSON.stringify(text)}`, 'use --format plain or --format custom.');
}

async function announce(config: Config, exitCode: number, text: string): Promise<void> {
  await Promise.all([notify(config, text, exitCode), ping(config, exitCode)]);
}

if (import.meta.main) await execute(backup);
