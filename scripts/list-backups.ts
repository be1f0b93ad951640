#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { localBackups, storedBackups } from './lib/backup/catalog.ts';
import { readChecks, recordCheck } from './lib/backup/check-log.ts';
import { foreignDumps, foreignObjects } from './lib/backup/directory.ts';
import { type ListedBackup, listBackups } from './lib/backup/list.ts';
import { copiesOf, missingCopies } from './lib/backup/missing-copies.ts';
import { missCopy } from './lib/backup/send-missing.ts';
import { verifyLocal } from './lib/backup/verify.ts';
import { command, execute } from './lib/cli/command.ts';
import type { Config } from './lib/config/config.ts';
import { Exit } from './lib/core/errors.ts';
import { bytes, count, duration, plural, table, utc } from './lib/core/format.ts';
import { log } from './lib/core/log.ts';
import { openStore } from './lib/s3/open-store.ts';

export const list = command({
  summary: 'List the backups of one environment, local and in S3.',
  usage: ['[--verify] [--env production|staging] [--json]'],
  details:
    '“verified” means that every byte was read and compared; the columns say how long ago that was, and how long ago\n' +
    'the backup was last loaded into a database. “foreign” backups do not have the signature of BACKUP_SIGNING_KEY: only\n' +
    'their id, path or address restores them. Dumps of other origin in BACKUP_DIR and below S3_PREFIX are listed below.',
  options: {
    verify: { type: 'boolean', help: 'read every local backup again first; verify-backup.ts also reads S3' },
  },
  examples: [
    ['list-backups.ts', 'all backups of production'],
    ['list-backups.ts --json | jq -r .[0].id', 'the id of the newest'],
    ['list-backups.ts --verify', 'find damage on this server’s disk'],
  ],
  exitCodes: [
    [Exit.done, 'listed'],
    [Exit.usage, 'wrong flags or configuration'],
    [Exit.verification, 'with --verify: a backup is damaged'],
    [Exit.offsite, 'S3 can’t be read'],
  ],
  async run({ options, config: load }) {
    const config = load();
    const now = Date.now();
    let local = await localBackups(config, now);
    if (options.verify) {
      local = await verifyLocal(config, local);
      for (const { id, problem } of local)
        if (!problem) recordCheck(config, { id, place: 'local', check: 'read' });
    }
    const store = config.s3 && (await openStore(config.s3));
    const stored = store ? await storedBackups(config, store, now) : [];
    if (!config.s3) log.info('S3: not configured (S3_BUCKET is empty)');
    const missing = config.s3
      ? missingCopies(config, config.s3.retentionDays, local, copiesOf(stored)).map(({ id }) => id)
      : [];
    const backups = listBackups([...local, ...stored], readChecks(config), missing);
    const dumps = await foreignDumps(config);
    const parts = [backups.length > 0 ? toTable(backups, now) : nothing(config)];
    const objects = store ? await foreignObjects(store) : [];
    if (dumps.length + objects.length > 0) parts.push(describeForeign(config, dumps, objects));
    return {
      text: parts.join('\n'),
      json: [
        ...backups,
        ...dumps.map(file => ({ id: null, file, local: 'foreign' })),
        ...objects.map(file => ({ id: null, file, s3: 'foreign' })),
      ],
      exitCode:
        options.verify && local.some(({ problem, foreign }) => problem && !foreign)
          ? Exit.verification
          : Exit.done,
    };
  },
});

function toTable(backups: ListedBackup[], now: number): string {
  const age = (time: string | null) => (time ? duration((now - Date.parse(time)) / 1000) : 'never');
  const rows = backups.map(backup => [
    backup.id,
    backup.snapshotAt ? utc(backup.snapshotAt) : '?',
    backup.snapshotAt ? age(backup.snapshotAt) : '?',
    bytes(backup.bytes),
    backup.rows === null ? '?' : count(backup.rows),
    backup.format ?? '?',
    backup.local,
    backup.s3,
    age(backup.readAt),
    age(backup.loadedAt),
    backup.label ?? '',
  ]);
  const header = 'id,data of,>age,>size,>rows,format,local,S3,>read,>loaded,label'.split(',');
  const missing = backups.filter(({ missesCopy }) => missesCopy).length;
  const which = missing > 0 ? `; ${missCopy(missing)}, which backup.ts sends` : '';
  return `${table(header, rows)}
${plural(backups.length, 'backup')}${which}`;
}

/** Where it has looked: the usual reason for an empty list is another directory than the one that is meant. */
function nothing({ environment, postgres, backupDir, s3 }: Config): string {
  const places = [backupDir, ...(s3 ? [`s3://${s3.bucket}/${s3.prefix}`] : [])].join(' and in ');
  return `no backups of ${postgres.database} (${environment}) in ${places}`;
}

/** @param addresses of dumps in the store */
function describeForeign({ backupDir }: Config, names: string[], addresses: string[]): string {
  const dumps = [...names.map(name => `${backupDir}/${name}`), ...addresses];
  const list = dumps.map(dump => `  ${dump}`).join('\n');
  const takes = addresses.length > 0 ? 'the path or the address' : 'the path';
  return `${plural(dumps.length, 'dump')} of another origin; restore.ts and verify-backup.ts take ${takes}:\n${list}`;
}

if (import.meta.main) await execute(list);
