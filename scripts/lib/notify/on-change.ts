import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { Exit, messageOf, OperationalError } from '../core/errors.ts';
import { writeWhole } from '../core/files.ts';
import { duration, utc } from '../core/format.ts';
import { withLock } from '../core/lock.ts';
import { log } from '../core/log.ts';
import { notify, sendQueuedMessages } from './notify.ts';

interface Condition {
  /** `healthy`, or what is wrong in one word. */
  status: string;
  /** The names of the worst lines: one more or one less is another condition. */
  lines: string[];
  /** Of the run that saw it. */
  exitCode: number;
}

interface Notified extends Omit<Condition, 'exitCode'> {
  /** When it stopped being healthy, or became healthy again. */
  since: string;
}

const HEALTHY = 'healthy';

/**
 * Sends a notification when a condition differs from that of the last notification. Of two runs at the same time only one
 * notifies.
 *
 * @param what has the condition: a word, and the name of the file with the last one, `<STATE_DIR>/<environment>.<what>.json`
 * @param details one line for each thing that is wrong
 */
export async function notifyChange(
  config: Config,
  what: string,
  condition: Condition,
  details: string[],
): Promise<void> {
  const { stateDir, environment } = config;
  const { status, lines, exitCode } = condition;
  const path = join(stateDir, `${environment}.${what}.json`);
  let compared = false;
  try {
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    await withLock(stateDir, `${environment}.${what}`, `notifying the state of ${what}`, async () => {
      const last = await read(path);
      compared = true;
      if (isSame(last, condition)) return sendQueuedMessages(config); // an alert need not wait for the next one
      const turned = last.status === HEALTHY || status === HEALTHY;
      const now: Notified = { status, lines, since: turned ? new Date().toISOString() : last.since };
      await notify(config, textFor(what, last, now, details), exitCode, true); // a recovery, too
      await writeWhole(path, JSON.stringify(now) + '\n');
    });
  } catch (error) {
    if (error instanceof OperationalError && error.exitCode === Exit.locked) return;
    log.warn(`can't save the state of ${what} in ${path}, so it may be notified again: ${messageOf(error)}`);
    if (compared || status === HEALTHY) return;
    // A disk that can't be written is worth a notification with each run.
    await notify(config, [`${what} is ${status.toUpperCase()}:`, ...details].join('\n'), exitCode);
  }
}

/** @returns the condition of the last notification; healthy where there is none, or the file is damaged */
async function read(path: string): Promise<Notified> {
  try {
    const { status, lines, since } = JSON.parse(await readFile(path, 'utf8'));
    if (typeof status === 'string' && Array.isArray(lines) && !Number.isNaN(Date.parse(since)))
      return { status, lines, since };
  } catch {} // none yet, or damaged
  return { status: HEALTHY, lines: [], since: new Date().toISOString() };
}

function isSame(last: Notified, now: Condition): boolean {
  return last.status === now.status && last.lines.toSorted().join() === now.lines.toSorted().join();
}

function textFor(what: string, last: Notified, now: Notified, details: string[]): string {
  if (now.status === HEALTHY) {
    const lasted = duration((Date.parse(now.since) - Date.parse(last.since)) / 1000);
    const lines = last.lines.length > 0 ? ` (${last.lines.join(', ')})` : '';
    return `${what} has recovered: it was ${last.status}${lines} for ${lasted}, since ${utc(last.since)}`;
  }
  const before = last.status === HEALTHY ? '' : `, before ${last.status}`;
  return [`${what} is ${now.status.toUpperCase()} since ${utc(now.since)}${before}:`, ...details].join('\n');
}
