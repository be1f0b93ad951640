/** For each command of ours in a message, by its file: how it is known that it does what the message says. */

const HERE = 'integration/hints.test.ts';
const LONG = 'long/integration/hints.test.ts';
/** Over the model of Docker, or as a process. */
const DEPLOY = 'integration/deploy-hints.test.ts';

/** A test provokes the message and runs the command as it is shown: below test/. */
export const RUN_BY: Record<string, string> = {
  'lib/backup/find.ts: list-backups.ts': HERE,
  'lib/backup/list.ts: verify-backup.ts VALUE': HERE,
  'lib/deploy/journal.ts: deploy.ts --resume': DEPLOY,
  'lib/deploy/journal.ts: deploy.ts --revert': DEPLOY,
  'lib/deploy/journal.ts: deploy.ts TAG': DEPLOY,
  'lib/deploy/procedure.ts: deploy.ts VALUE --plan': DEPLOY,
  'lib/deploy/releases.ts: rollback.ts --list': DEPLOY,
  'lib/deploy/revert.ts: rollback.ts VALUE --with-database VALUE': DEPLOY,
  'lib/deploy/rollback-database.ts: deploy.ts --resume': DEPLOY,
  'lib/deploy/rolling-update.ts: scale.ts 2': DEPLOY,
  'lib/deploy/run-deploy.ts: deploy.ts --resume': DEPLOY,
  'lib/deploy/run-deploy.ts: deploy.ts --revert': DEPLOY,
  'rollback.ts: list-backups.ts': DEPLOY,
  'lib/health/checks/backup.ts: list-backups.ts': HERE,
  'lib/restore/run-restore.ts: health-check.ts': HERE,
  'lib/restore/run-restore.ts: restore.ts --finish': HERE,
  'lib/restore/run-restore.ts: restore.ts --undo': HERE,
  'lib/restore/undo.ts: list-backups.ts': HERE,
  'lib/restore/small-result.ts: restore.ts … --database': HERE,
  'lib/restore/judge-errors.ts: restore.ts … --accept-errors': LONG,
  'lib/restore/judge-errors.ts: restore.ts … --as-superuser': LONG,
  'lib/restore/restore-tables.ts: restore.ts … --database': LONG,
  'schedule.ts: schedule.ts next': HERE,
  'lib/backup/prune.ts: prune-backups.ts --dry-run': LONG,
  'lib/backup/prune.ts: prune-backups.ts': LONG,
  'lib/health/checks/backup-loaded.ts: verify-backup.ts latest --load': LONG,
  'lib/health/checks/backup.ts: backup.ts': LONG,
  'unhide-backup.ts: list-backups.ts': HERE,
  'lib/backup/find-file.ts: list-backups.ts': HERE,
  'lib/backup/manifest.ts: list-backups.ts': HERE,
  'lib/backup/verify.ts: list-backups.ts': HERE,
  'lib/restore/choose-tables.ts: list-backups.ts': HERE,
  'lib/restore/options.ts: list-backups.ts': HERE,
  'lib/s3/download.ts: list-backups.ts': HERE,
  'lib/health/checks/leftovers.ts: backup.ts': HERE,
  'lib/health/checks/postgres.ts: restore.ts --finish': HERE,
  'lib/schedule/crontab-install.ts: schedule.ts install': HERE,
};

const LISTS = 'the same command as in lib/backup/find.ts, which has a test';
const ISSUED = 'it needs a certificate authority: stack/certificates.test.ts runs it in its own process';
const ROTATED = 'a stack: long/stack/rotate.test.ts runs it in its own process';
const WRITTEN = 'integration/config.test.ts runs it on such a file';
const FILES = 'integration/secrets-files.test.ts runs it in its own process';
const SPACE =
  'a full disk is not made for a command that prune-backups.test.ts and restore-modes.test.ts run';

const SERVER = 'it changes a server: long/server/setup-server.test.ts runs it on one';
const PAGE = 'integration/maintenance.test.ts runs it in its own process, in that state';

/** Why no test runs the command from its message. */
export const NOT_RUN: Record<string, string> = {
  'lib/restore/compare.ts: list-backups.ts': LISTS,
  'lib/restore/copy-tables.ts: list-backups.ts': LISTS,
  'lib/restore/compare.ts: restore.ts … --accept-errors':
    'the same command as in lib/restore/judge-errors.ts',
  'lib/restore/copy-tables.ts: restore.ts … --database':
    'the same command as in lib/restore/restore-tables.ts',
  'lib/backup/hidden.ts: unhide-backup.ts': 'a bucket with versions: test/stores/hidden.test.ts runs it',
  'lib/backup/prune.ts: unhide-backup.ts': 'a bucket with versions: test/stores/hidden.test.ts runs it',
  'lib/backup/unreadable-objects.ts: database-roles.ts':
    'integration/database-roles.test.ts runs it in its own process after that message',
  'lib/core/advice.ts: database-roles.ts':
    'integration/database-roles.test.ts runs it in its own process where the roles are missing',
  'lib/restore/missing-roles.ts: database-roles.ts':
    'integration/database-roles.test.ts runs it in its own process after that restore',
  'lib/postgres/change-roles.ts: config.ts --write':
    'integration/config.test.ts runs it on an env file as that change leaves it',
  'lib/postgres/change-roles.ts: backup.ts':
    'integration/database-roles.test.ts runs it in its own process after that change',
  'lib/secrets/checks/docker.ts: secrets.ts generate': FILES,
  'lib/secrets/checks/values.ts: secrets.ts generate': FILES,
  'lib/secrets/checks/values.ts: secrets.ts rotate VALUE': ROTATED,
  'lib/secrets/report.ts: secrets.ts generate': FILES,
  'lib/secrets/report.ts: secrets.ts rotate --due': FILES,
  'lib/secrets/report.ts: secrets.ts rotate --resume': ROTATED,
  'lib/secrets/rotate-many.ts: secrets.ts status': FILES,
  'lib/secrets/run-rotation.ts: secrets.ts generate': FILES,
  'lib/secrets/run-rotation.ts: secrets.ts rotate --resume': ROTATED,
  'lib/secrets/rotation-journal.ts: secrets.ts rotate --resume': ROTATED,
  'lib/secrets/replace-backends.ts: scale.ts 2': 'the same command as in lib/deploy/rolling-update.ts',
  'lib/secrets/replace-backends.ts: deploy.ts TAG': 'the same command as in lib/deploy/journal.ts',
  'lib/secrets/rotate-redis.ts: config.ts --write': WRITTEN,
  'lib/secrets/rotate-roles.ts: config.ts --write': WRITTEN,
  'lib/secrets/rotate-roles.ts: database-roles.ts':
    'integration/database-roles.test.ts runs it in its own process for such an application',
  'secrets.ts: secrets.ts status': FILES,
  'secrets.ts: secrets.ts export --for github': FILES,
  'lib/secrets/checks/values.ts: database-roles.ts':
    'integration/database-roles.test.ts runs it in its own process where a password is empty',
  'lib/secrets/generate.ts: init.ts': 'integration/init.test.ts runs it in its own process without a file',
  'lib/setup/report.ts: init.ts': 'integration/init.test.ts runs it in its own process, and on a terminal',
  'unhide-backup.ts: restore.ts VALUE --from s3':
    'a bucket with versions: test/stores/hidden.test.ts runs it',
  'lib/core/errors.ts: prune-backups.ts': SPACE,
  'lib/core/errors.ts: restore.ts --finish': SPACE,
  'lib/s3/advice.ts: prune-backups.ts': 'the test’s store has no quota',
  'lib/deploy/journal.ts: rollback.ts RELEASE':
    'it rolls out as deploy.ts TAG of the same message, which has a test',
  'lib/deploy/plan.ts: health-check.ts': 'the same command as in lib/restore/run-restore.ts',
  'logs.ts: health-check.ts --only containers': 'stack/health-check.test.ts runs it with the other lines',
  'lib/deploy/watch.ts: health-check.ts --verbose': 'stack/health-check.test.ts runs it',
  'lib/deploy/revert.ts: list-backups.ts': 'the same command as in rollback.ts',
  'lib/deploy/rollback-database.ts: list-backups.ts': 'the same command as in rollback.ts',
  'lib/migrations/failed.ts: deploy.ts VALUE --resolve VALUE':
    'integration/app-migrations.test.ts runs it in its own process, with a container that is a stub',
  'lib/postgres/abandoned.ts: health-check.ts':
    'a server process that can’t be ended; the same as in lib/restore/run-restore.ts',
  'certificates.ts: certificates.ts status': ISSUED,
  'lib/certificates/install.ts: certificates.ts renew': ISSUED,
  'lib/certificates/obtain.ts: certificates.ts issue --force': ISSUED,
  'lib/certificates/obtain.ts: certificates.ts issue': ISSUED,
  'lib/certificates/refusal.ts: certificates.ts status': ISSUED,
  'lib/certificates/status.ts: certificates.ts issue': ISSUED,
  'lib/setup/report.ts: setup-server.ts --check':
    'only root on a bare server: long/server/setup-server.test.ts',
  'lib/health/checks/certificate.ts: certificates.ts status': ISSUED,
  'lib/health/checks/certificate.ts: certificates.ts issue': ISSUED,
  'maintenance.ts: maintenance.ts status': PAGE,
  'lib/health/checks/public.ts: maintenance.ts off': PAGE,
  'lib/nginx/maintenance.ts: maintenance.ts off': PAGE,
  'lib/maintenance/permissions.ts: setup-server.ts --check': SERVER,
  'lib/maintenance/permissions.ts: setup-server.ts --only directories': SERVER,
  'lib/restore/replication.ts: restore.ts --undo': 'integration/replication.test.ts undoes in that state',
};
