/** Variables of the off-site copies of backups, in S3. */
import { BACKUP_SCRIPTS } from './backup-variables.ts';
import { any, choice, days, flag, readBy, span, text, url } from './types.ts';

export const offsite = readBy(BACKUP_SCRIPTS, {
  S3_BUCKET: {
    meaning:
      'The bucket, which must exist. Empty: no off-site copy, every backup says so, and health-check warns in production.',
    type: text('a bucket name', /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/),
  },
  S3_PREFIX: {
    meaning: 'Prefix of all keys, without a slash at its ends.',
    type: text('letters, digits, - _ . and /, not at an end', /^[\w.-]+(\/[\w.-]+)*$/),
    default: 'database',
  },
  S3_ENDPOINT: {
    meaning:
      'For stores other than Amazon’s: https://s3.gra.io.cloud.ovh.net, https://<account>.r2.cloudflarestorage.com.',
    type: url,
  },
  S3_FORCE_PATH_STYLE: {
    meaning:
      'true: https://endpoint/bucket, false: https://bucket.endpoint. Default: true with S3_ENDPOINT, else false.',
    type: flag,
  },
  S3_CHECKSUMS: {
    meaning: 'required: send checksums only where S3 requires them, for stores that refuse them.',
    type: choice('supported', 'required'),
    default: 'supported',
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
  },
  S3_RETRY_TIME: {
    meaning:
      'Time after the first failure in which a request is repeated: connections refused or cut, no address, HTTP 429 and 5xx.',
    type: span,
    default: '60s',
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
  },
  AWS_ACCESS_KEY_ID: {
    meaning:
      'Required with S3_BUCKET. The key must be able to list, read, write and delete below S3_PREFIX; without delete, ' +
      'expired backups are left to the bucket’s rules.',
    type: any,
  },
  AWS_SECRET_ACCESS_KEY: { meaning: 'Required with S3_BUCKET.', type: any },
  AWS_SESSION_TOKEN: {
    meaning:
      'Only for temporary keys, whose id begins with ASIA: they expire, so a schedule needs keys without it. It must stand ' +
      'where AWS_ACCESS_KEY_ID does: in this file, or in the environment.',
    type: any,
  },
});
