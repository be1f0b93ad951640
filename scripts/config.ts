#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { command, execute } from './lib/cli/command.ts';
import { splitEnvFile } from './lib/config/split.ts';
import { writeUrls } from './lib/config/write-urls.ts';
import { Exit, usageError } from './lib/core/errors.ts';
import { withLockUnless } from './lib/core/lock.ts';
import { log, logTo } from './lib/core/log.ts';

export const config = command({
  summary: 'Write the connection URLs of the env file, and keep the application’s variables apart.',
  usage: ['--write [--env production|staging] [--dry-run] [--json]', '--split [--dry-run]'],
  details:
    'Containers keep the variables that they were created with. The next release replaces the backends without losing a\n' +
    'request. Until then, one after the other:\n' +
    '  docker compose up -d --no-deps --wait backend-1',
  options: {
    write: {
      type: 'boolean',
      help: 'write DATABASE_URL and REDIS_URL, made of their parts and percent-encoded; a URL of another server stays',
    },
    split: {
      type: 'boolean',
      help: 'move the variables of the application from .env.<environment> to .env.<environment>.app',
    },
    'dry-run': { type: 'boolean', help: 'show what would be changed, and change nothing' },
  },
  examples: [
    ['config.ts --write', 'after a new password'],
    ['config.ts --split --dry-run', 'which variables are the application’s?'],
  ],
  exitCodes: [
    [Exit.done, 'done, or nothing to do'],
    [Exit.failed, 'a file can’t be written'],
    [Exit.usage, 'wrong flags or configuration, or the two files contradict each other; nothing was changed'],
    [Exit.locked, 'another run holds the lock'],
  ],
  changesState: true,
  async run({ options, config: load }) {
    const { write, split } = options;
    if (!write && !split) throw usageError('nothing to do', 'add --write or --split, see --help.');
    const looking = options['dry-run'] === true;
    const config = load();
    logTo(`${config.logDir}/config.log`, looking);
    return withLockUnless(looking, config.stateDir, config.environment, 'config.ts', async () => {
      if (!looking) log.changesBegin();
      const moved = split ? await splitEnvFile(config, looking) : [];
      const { written, lines } = write ? await writeUrls(config, looking) : { written: [], lines: [] };
      const to = `${looking ? 'would be moved' : 'moved'} to ${config.appFile}: ${moved.join(', ')}`;
      const text = [...(split ? [moved.length > 0 ? to : 'no variable to move'] : []), ...lines].join('\n');
      return { text, json: { dryRun: looking, moved, written } };
    });
  },
});

if (import.meta.main) await execute(config);
