#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { command, execute } from './lib/cli/command.ts';
import { Exit } from './lib/core/errors.ts';
import { withLockUnless } from './lib/core/lock.ts';
import { logTo } from './lib/core/log.ts';
import { changeRoles } from './lib/postgres/change-roles.ts';

export const databaseRoles = command({
  summary:
    'Give the application and backups roles of their own in a database that is there, instead of a superuser.',
  usage: ['[--env production|staging] [--dry-run] [--yes] [--json]'],
  details:
    'Makes APP_DB_USER and BACKUP_DB_USER, makes the first the owner of all that POSTGRES_USER owns in POSTGRES_DB, and ' +
    'writes the passwords into the env file. The application runs on meanwhile, as the user that it has. Ended at any ' +
    'point, it is completed by the next run. A new server needs none of this.',
  options: {
    'dry-run': { type: 'boolean', help: 'show what would be changed; change nothing' },
    yes: { type: 'boolean', help: 'do not ask for confirmation' },
  },
  examples: [
    ['database-roles.ts --dry-run', 'what changes, and what the application should be ready for'],
    ['database-roles.ts', 'asks for the name of the database'],
  ],
  exitCodes: [
    [Exit.done, 'both roles have their rights, or had them already'],
    [Exit.failed, 'not all is done; the application runs on as before'],
    [Exit.usage, 'wrong flags or configuration, or not confirmed'],
    [Exit.locked, 'another run holds the lock'],
  ],
  changesState: true,
  async run({ options: { 'dry-run': looking, yes }, config: load }) {
    const config = load();
    logTo(`${config.logDir}/database-roles.log`, looking);
    return withLockUnless(looking, config.stateDir, config.environment, 'database-roles.ts', () =>
      changeRoles(config, { yes, dryRun: looking }),
    );
  },
});

if (import.meta.main) await execute(databaseRoles);
