#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { rm } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { recordPassed } from './lib/backup/check-log.ts';
import { makeLookingDirectory } from './lib/backup/directory.ts';
import { fetchSource, type LocalSource } from './lib/backup/fetch.ts';
import { findSource, parsePlace } from './lib/backup/find.ts';
import { describeSource } from './lib/backup/source.ts';
import { checkSource } from './lib/backup/verify.ts';
import { command, execute } from './lib/cli/command.ts';
import { SOME_BACKUP } from './lib/cli/help.ts';
import { Exit, exitCodeOf, messageOf, usageError } from './lib/core/errors.ts';
import { bytes, count } from './lib/core/format.ts';
import { withLock } from './lib/core/lock.ts';
import { logTo } from './lib/core/log.ts';
import { runLoadCheck } from './lib/drill/load-check.ts';
import { notify } from './lib/notify/notify.ts';
import { totalRows } from './lib/postgres/row-counts.ts';
import { drillLock } from './lib/restore/leftovers.ts';

export const verify = command({
  summary: 'Verify a backup again: check its checksums and decode every block; with --load, also load it.',
  usage: [
    '<latest | backup id | file | s3://bucket/key> [--from local|s3] [--load [--if-due]] [--env production|staging] [--json]',
  ],
  details:
    '--load loads it into a scratch database on the live server, at low priority and with one connection, compares\n' +
    'every table’s rows and every definition, and drops it. A failure is notified.',
  options: {
    from: {
      type: 'string',
      value: 'local|s3',
      help: 'where to look for the backup; default: local, then S3',
    },
    load: { type: 'boolean', help: 'also load it into a scratch database and compare' },
    'if-due': {
      type: 'boolean',
      help: 'with --load: only if LOAD_CHECK says so and it was not loaded before',
    },
  },
  examples: [
    ['verify-backup.ts latest --from s3', 'download the newest off-site copy and read all of it'],
    [`verify-backup.ts ${SOME_BACKUP}`, 'one backup'],
    ['verify-backup.ts latest --load', 'prove that the newest backup can be restored'],
  ],
  exitCodes: [
    [Exit.done, 'complete; with a manifest, also unchanged; with --load, loaded and compared, or not due'],
    [Exit.failed, 'could not be read or loaded'],
    [Exit.usage, 'wrong flags or configuration'],
    [Exit.verification, 'missing, truncated or damaged; with --load, different after loading'],
    [Exit.offsite, 'S3 can’t be read'],
    [Exit.locked, 'with --load: a drill or another such run holds the lock'],
  ],
  positionals: 1,
  changesState: (_, { load }) => load === true,
  async run({ options: { from, load, 'if-due': ifDue }, positionals: [wanted], config: read }) {
    if (!wanted)
      throw usageError('no backup given', 'give latest, an id, a file or an s3:// address; see --help.');
    if (ifDue && !load) throw usageError('--if-due needs --load', 'see --help.');
    const place = parsePlace(from);
    const config = read();
    if (load) {
      logTo(`${config.logDir}/load-check.log`);
      setPriority(10);
      return withLock(config.stateDir, drillLock(config), 'verify-backup.ts --load', async () => {
        try {
          return await runLoadCheck(config, wanted, place, ifDue);
        } catch (error) {
          await notify(config, `load check of ${wanted} FAILED: ${messageOf(error)}`, exitCodeOf(error));
          throw error;
        }
      });
    }
    const fetched = await makeLookingDirectory(config);
    try {
      const source = await fetchSource(await findSource(config, wanted, place), fetched);
      await checkSource(config.postgres, source);
      recordPassed(config, source, 'read');
      return resultOf(source);
    } finally {
      await rm(fetched, { recursive: true, force: true });
    }
  },
});

function resultOf(source: LocalSource) {
  const { manifest } = source;
  const size = manifest
    ? `, ${bytes(manifest.artifact.bytes)}, ${count(totalRows(manifest.tables))} rows`
    : '';
  const verdict = manifest
    ? source.foreign
      ? `complete and as its manifest says, but ${source.foreign}`
      : 'complete and unchanged'
    : 'complete; without a manifest nothing shows whether it was changed';
  return {
    text: `${verdict}: ${describeSource(source)}${size}`,
    json: {
      verified: source.name,
      compared: manifest !== null,
      foreign: source.foreign !== undefined,
      bytes: manifest?.artifact.bytes ?? null,
    },
  };
}

if (import.meta.main) await execute(verify);
