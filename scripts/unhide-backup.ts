#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { notConfigured } from './lib/backup/find-file.ts';
import { type HiddenBackup, hiddenBackups, problemInStore, unhide } from './lib/backup/hidden.ts';
import { command, execute } from './lib/cli/command.ts';
import { SOME_BACKUP } from './lib/cli/help.ts';
import { Exit, verificationError } from './lib/core/errors.ts';
import { bytes, plural, table, utc } from './lib/core/format.ts';
import { withLockUnless } from './lib/core/lock.ts';
import { log, logTo } from './lib/core/log.ts';
import { openStore } from './lib/s3/open-store.ts';

export const unhideBackup = command({
  summary: 'Bring back a backup that was deleted in S3, from a bucket that keeps versions.',
  usage: ['[--env production|staging] [--json]', 'ID [--env production|staging] [--dry-run] [--json]'],
  details:
    'In such a bucket, also one with Object Lock, a deletion only adds a delete marker to each file. Without an ID this\n' +
    'lists the backups that markers hide; with one it removes its markers, those of the manifest last, and nothing else.\n' +
    'If it has expired, the next backup hides it again.',
  positionals: 1,
  options: {
    'dry-run': { type: 'boolean', help: 'say which markers would be removed, and remove none' },
  },
  examples: [
    ['unhide-backup.ts', 'the hidden backups'],
    [`unhide-backup.ts ${SOME_BACKUP}`, 'bring this one back'],
  ],
  exitCodes: [
    [Exit.done, 'listed, or in S3 again and verified'],
    [Exit.usage, 'wrong flags or configuration'],
    [Exit.verification, 'it is not hidden, its files are deleted, or it is not what its manifest says'],
    [Exit.offsite, 'S3 can’t be read, or refuses to remove a marker'],
    [Exit.locked, 'another run holds the lock'],
  ],
  changesState: positionals => positionals.length > 0,
  async run({ options, positionals: [id], config: load }) {
    const config = load();
    const looking = options['dry-run'];
    if (!config.s3) throw notConfigured('./scripts/list-backups.ts lists the local backups');
    const store = await openStore(config.s3);
    if (id === undefined) {
      const hidden = await hiddenBackups(config, store);
      const where = `s3://${config.s3.bucket}/${config.s3.prefix}`;
      return {
        text: `${toTable(hidden)}${plural(hidden.length, 'hidden backup')} in ${where}`,
        json: hidden,
      };
    }
    logTo(`${config.logDir}/backup.log`, looking);
    return withLockUnless(looking, config.stateDir, config.environment, 'unhide-backup.ts', async () => {
      if (!looking) log.changesBegin();
      const files = await unhide(config, store, id, looking ? async () => {} : undefined);
      const json = { id, files };
      if (looking) return { text: `would remove the delete markers of ${files.join(', ')}`, json };
      const problem = await problemInStore(config, store, id);
      if (problem)
        throw verificationError(
          `${id} is in S3 again, but is not verified: ${problem}`,
          'an older version of its files may be whole: the store’s console shows the versions.',
        );
      return { text: `${id} is in S3 again; ./scripts/restore.ts ${id} --from s3 restores it`, json };
    });
  },
});

function toTable(hidden: HiddenBackup[]): string {
  if (hidden.length === 0) return '';
  const rows = hidden.map(({ id, bytes: size, hiddenAt, isComplete }) => [
    id,
    bytes(size),
    utc(hiddenAt),
    isComplete ? 'complete' : 'files are deleted',
  ]);
  return `${table(['id', '>size', 'hidden since', 'state'], rows)}\n`;
}

if (import.meta.main) await execute(unhideBackup);
