/** Variables of backups, notifications, the schedule and the directories that scripts write to. */
import { any, choice, cron, days, directory, flag, type Group, span, text, url, whole } from './types.ts';

const BACKUP_SCRIPTS = 'all scripts that use backups';

const signingKey = text('at least 32 characters, without blanks', /^[!-~]{32,}$/);

export const backup = {
  BACKUP_DIR: {
    meaning: 'Directory of the backups, with mode 0700.',
    type: directory,
    default: 'backups',
    readBy: BACKUP_SCRIPTS,
  },
  BACKUP_FORMAT: {
    meaning: 'plain (.sql.gz: gunzip and psql restore it) or custom (.dump.zst: faster both ways).',
    type: choice('plain', 'custom'),
    default: 'plain',
    readBy: 'backup',
  },
  BACKUP_LOCK_WAIT: {
    meaning:
      'Longest wait of a backup for tables that other sessions have locked: a number and s, m, h or d.',
    type: span,
    default: '60s',
    readBy: 'backup; restore, for the backup of the database that it replaces',
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
    readBy: BACKUP_SCRIPTS,
  },
  BACKUP_SIGNING_KEY_PREVIOUS: {
    meaning:
      'The key before: backups that are signed with it count as well. Remove it when they are expired.',
    type: signingKey,
    readBy: BACKUP_SCRIPTS,
  },
} satisfies Group;

export const offsite = {
  S3_BUCKET: {
    meaning: 'The bucket, which must exist. Empty: no off-site copy, and every backup says so.',
    type: text('a bucket name', /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/),
    readBy: BACKUP_SCRIPTS,
  },
  S3_PREFIX: {
    meaning: 'Prefix of all keys, without a slash at its ends.',
    type: text('letters, digits, - _ . and /, not at an end', /^[\w.-]+(\/[\w.-]+)*$/),
    default: 'database',
    readBy: BACKUP_SCRIPTS,
  },
  S3_ENDPOINT: {
    meaning:
      'For stores other than Amazon’s: https://s3.gra.io.cloud.ovh.net, https://<account>.r2.cloudflarestorage.com.',
    type: url,
    readBy: BACKUP_SCRIPTS,
  },
  S3_FORCE_PATH_STYLE: {
    meaning:
      'true: https://endpoint/bucket, false: https://bucket.endpoint. Default: true with S3_ENDPOINT, else false.',
    type: flag,
    readBy: BACKUP_SCRIPTS,
  },
  S3_CHECKSUMS: {
    meaning: 'required: send checksums only where S3 requires them, for stores that refuse them.',
    type: choice('supported', 'required'),
    default: 'supported',
    readBy: BACKUP_SCRIPTS,
  },
  S3_STORAGE_CLASS: {
    meaning: 'R2 and others only know STANDARD.',
    type: text('a storage class, such as STANDARD_IA', /^[A-Z_0-9]+$/),
    default: 'STANDARD_IA',
    readBy: 'backup',
  },
  S3_SSE: {
    meaning: 'Server-side encryption: AES256 or aws:kms. Default: that of the bucket.',
    type: choice('AES256', 'aws:kms'),
    readBy: 'backup',
  },
  S3_SSE_KMS_KEY_ID: { meaning: 'Key for S3_SSE=aws:kms.', type: any, readBy: 'backup' },
  S3_TIMEOUT: {
    meaning: 'Time without an answer after which a request has failed and is repeated.',
    type: span,
    default: '60s',
    readBy: BACKUP_SCRIPTS,
  },
  S3_RETRY_TIME: {
    meaning:
      'Time after the first failure in which a request is repeated: connections refused or cut, no address, HTTP 429 and 5xx.',
    type: span,
    default: '60s',
    readBy: BACKUP_SCRIPTS,
  },
  S3_RETENTION_DAYS: {
    meaning: 'Days that a backup stays in S3.',
    type: days,
    default: '90',
    readBy: 'backup, prune-backups',
  },
  AWS_REGION: {
    meaning: 'Region of the bucket.',
    type: text('a region, such as eu-west-3', /^[\w-]+$/),
    default: 'us-east-1',
    readBy: BACKUP_SCRIPTS,
  },
  AWS_ACCESS_KEY_ID: {
    meaning:
      'Required with S3_BUCKET. The key must be able to list, read, write and delete below S3_PREFIX; without delete, ' +
      'expired backups are left to the bucket’s rules.',
    type: any,
    readBy: BACKUP_SCRIPTS,
  },
  AWS_SECRET_ACCESS_KEY: { meaning: 'Required with S3_BUCKET.', type: any, readBy: BACKUP_SCRIPTS },
  AWS_SESSION_TOKEN: {
    meaning:
      'Only for temporary keys, whose id begins with ASIA: they expire, so a schedule needs keys without it. It must stand ' +
      'where AWS_ACCESS_KEY_ID does: in this file, or in the environment.',
    type: any,
    readBy: BACKUP_SCRIPTS,
  },
} satisfies Group;

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

export const notifications = {
  SLACK_WEBHOOK_URL: {
    meaning:
      'A Slack incoming webhook: gets the result of each backup, restore and drill, and other failures.',
    type: url,
    readBy: 'all scripts that notify',
  },
  WEBHOOK_URL: {
    meaning:
      'Any program that takes JSON by POST: app, environment, time, script, exitCode (of the run that the message is ' +
      'about) and text.',
    type: url,
    readBy: 'all scripts that notify',
  },
  BACKUP_PING_URL: {
    meaning: 'A dead man’s switch such as healthchecks.io: gets /start, then /<exit code>.',
    type: url,
    readBy: 'backup',
  },
} satisfies Group;

export const schedule = {
  SCHEDULE_BACKUP: {
    meaning:
      'Five fields of cron, in UTC whatever the server’s time zone, or off. After a change: schedule.ts install, or ' +
      'docker compose up -d backup.',
    type: cron,
    default: '0 2 * * *',
    readBy: 'schedule, backup service; health-check, for the age of the backup',
  },
  SCHEDULE_HEALTH_CHECK: {
    meaning: 'In the same format. Always off in the backup service.',
    type: cron,
    default: '*/5 * * * *',
    readBy: 'schedule',
  },
  SCHEDULE_DRILL: {
    meaning: 'In the same format.',
    type: cron,
    default: '0 4 1 1,4,7,10 *',
    readBy: 'schedule, backup service',
  },
  SCHEDULE_LOAD_CHECK: {
    meaning:
      'In the same format. When it is due, LOAD_CHECK decides. Set it to a time when the backup has ended.',
    type: cron,
    default: '0 3 * * *',
    readBy: 'schedule, backup service; health-check, for the age of the newest loaded backup',
  },
  SCHEDULE_MAILTO: {
    meaning: 'Recipient of cron’s mails, on a server that can send mail. Default: the crontab’s user.',
    type: text('an address or user name', /^[\w.@+-]+$/),
    readBy: 'schedule',
  },
} satisfies Group;

export const directories = {
  LOG_DIR: {
    meaning: 'Directory of the log files.',
    type: directory,
    default: 'logs',
    readBy: 'all scripts',
  },
  STATE_DIR: {
    meaning: 'Directory of locks, the history of runs, the releases and unsent messages.',
    type: directory,
    default: 'state',
    readBy: 'all scripts',
  },
} satisfies Group;
