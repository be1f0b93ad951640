import { randomBytes } from 'node:crypto';
import { PROLOGUE_LINES, plainRestore } from '../backup/dump-commands.ts';
import type { DumpFrame } from '../backup/dump-frame.ts';
import type { Postgres } from '../config/config.ts';
import { verificationError } from '../core/errors.ts';
import { CommandError } from '../core/shell.ts';
import { runFromFile } from '../postgres/redirect.ts';

/** What psql says of a command of its own in a dump, and with another key than ours. */
const REFUSED_COMMAND = /^psql:<stdin>:(\d+): error: (?:backslash commands are restricted|\\unrestrict: )/m;

/**
 * Loads a plain dump with psql's `\restrict`: a dump of one database has no commands of psql, and a forged one could
 * run programs or connect to the live database with them.
 *
 * @throws exit code 3 for a command of psql; CommandError where loading fails
 */
export async function loadPlain(
  postgres: Postgres,
  path: string,
  frame: DumpFrame,
  name: string,
  options: { purpose: string; settings: string },
): Promise<void> {
  const key = randomBytes(16).toString('hex');
  try {
    await runFromFile(postgres, plainRestore(name, frame, key), path, options);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const line = REFUSED_COMMAND.exec(error.stderr)?.[1];
    if (line === undefined) throw error;
    throw verificationError(
      `${path} has a command of psql in line ${Number(line) - PROLOGUE_LINES}, which no dump of one database has`,
      'the live database is unchanged. Find out where the file comes from before anything else reads it.',
    );
  }
}
