/** Cron lines of the scripts that this repository replaces. Their backup.sh deletes new backups, here and in S3, by their age. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandError, hasProgram, run } from './shell.ts';

/** A line that still runs an old script, and where it is: a file, or `crontab -l`. */
export interface OldLine {
  place: string;
  line: string;
}

/** Files that cron reads beside the crontab of this user: crontab(5), cron(8). */
const FILES = ['/etc/crontab', '/etc/anacrontab'];
const DIRECTORIES = [
  ...['/etc/cron.d', '/etc/cron.hourly', '/etc/cron.daily', '/etc/cron.weekly', '/etc/cron.monthly'],
  '/var/spool/cron/crontabs',
];

/** The old scripts, wherever they were installed; a backup by the `backup` service of the old Compose file. */
const OLD = [
  /\binfrastructure\/scripts\b/,
  /(^|[\s/"'=;&|(])(backup|health-check)\.sh\b/,
  /\bcompose\b.*\b(run|up)\b(?=.*\sbackup(\s|$))(?!.*\.ts\b)(?!.*\s-d\b)(?!.*--detach)/,
];

/** The password of the database was often in the line itself. */
const ASSIGNED = /\b([A-Za-z_]\w*)=("[^"]*"|'[^']*'|\S+)/g;

/**
 * @param text a crontab, or a script of cron.daily
 * @returns its lines that run an old script, without the values of variables; a comment runs nothing
 */
export function oldLines(text: string): string[] {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => !line.startsWith('#') && OLD.some(pattern => pattern.test(line)))
    .map(line => line.replace(ASSIGNED, '$1=…'));
}

/**
 * Looks at every crontab that this user can read. As root these are all of them.
 * @throws CommandError when `crontab -l` fails
 */
export async function findOldLines(): Promise<OldLine[]> {
  const files = [...FILES, ...(await Promise.all(DIRECTORIES.map(filesIn))).flat()];
  const texts = new Map<string, string>();
  for (const path of files) {
    const text = await readFile(path, 'latin1').catch(() => undefined); // missing, or another user's
    if (text !== undefined) texts.set(path, text);
  }
  if (hasProgram('crontab')) texts.set('crontab -l', await ownCrontab());
  const found = [...texts].flatMap(([place, text]) => oldLines(text).map(line => ({ place, line })));
  // Root reads its own crontab twice.
  return found.filter(({ line }, index) => found.findIndex(other => other.line === line) === index);
}

async function filesIn(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => []);
  return names.map(name => join(directory, name));
}

async function ownCrontab(): Promise<string> {
  try {
    return await run(['crontab', '-l'], { purpose: 'read the crontab', env: { LC_ALL: 'C' }, timeout: 4 });
  } catch (error) {
    if (error instanceof CommandError && /^no crontab for /m.test(error.stderr)) return '';
    throw error;
  }
}
