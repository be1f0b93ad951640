/** Variables of backups on this server, and of the objectives that they serve. */
import { choice, days, directory, type Group, readBy, span, text, whole } from './types.ts';

export const BACKUP_SCRIPTS = 'all scripts that use backups';

const signingKey = text('at least 32 characters, without blanks', /^[!-~]{32,}$/);

export const backup = readBy(BACKUP_SCRIPTS, {
  BACKUP_DIR: { meaning: 'Directory of the backups, with mode 0700.', type: directory, default: 'backups' },
  BACKUP_FORMAT: {
    meaning: 'plain (.sql.gz: gunzip and psql restore it) or custom (.dump.zst: faster both ways).',
    type: choice('plain', 'custom'),
    default: 'plain',
    readBy: 'backup',
  },
  BACKUP_LOCK_WAIT: {
    meaning: 'Longest wait for tables that other sessions have locked: a number and s, m, h or d.',
    type: span,
    default: '60s',
    readBy: 'backup; restore, for the database that it replaces',
  },
  BACKUP_RETENTION_DAYS: {
    meaning: 'Days that a backup stays on this server, counted from the newest one.',
    type: days,
    default: '30',
    readBy: 'backup, prune-backups',
  },
  BACKUP_MIN_KEEP: {
    meaning: 'Number of backups that stay, here and in S3, whatever their age.',
    type: whole('a whole number, at least 1', 1, 10_000),
    default: '7',
    readBy: 'backup, prune-backups',
  },
  LOAD_CHECK: {
    meaning:
      'How often the newest backup is loaded into a scratch database and compared: nightly, weekly, off, or auto: nightly ' +
      'up to 20 GB of database, else weekly. It needs the database’s size on its disk once more.',
    type: choice('auto', 'nightly', 'weekly', 'off'),
    default: 'auto',
    readBy: 'verify-backup, health-check',
  },
  BACKUP_SIGNING_KEY: {
    meaning:
      'Signs backups, so that a forged backup in the bucket is not taken for one of this server. Where it is empty, the ' +
      'first backup writes a key here. Keep a copy of this file outside of the bucket: without the key, older backups ' +
      'are restored only by their id. A new key: openssl rand -hex 32.',
    type: signingKey,
  },
  BACKUP_SIGNING_KEY_PREVIOUS: {
    meaning:
      'The key before: backups that are signed with it count as well. Remove it when they are expired.',
    type: signingKey,
  },
});

export const objectives = {
  RTO_OBJECTIVE: {
    meaning: 'Longest acceptable time of a restore, which a drill measures: a number and s, m, h or d.',
    type: span,
    default: '4h',
    readBy: 'drill',
  },
  RPO_OBJECTIVE: {
    meaning: 'Longest acceptable age of the newest backup: a number and s, m, h or d.',
    type: span,
    default: '24h',
    readBy: 'drill; health-check, without a scheduled backup',
  },
} satisfies Group;
