import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { Exit, messageOf, OperationalError } from '../core/errors.ts';
import { writeWhole } from '../core/files.ts';
import { duration, utc } from '../core/format.ts';
import { withLock } from '../core/lock.ts';
import { log } from '../core/log.ts';
import { notify, sendKeptMessages } from './notify.ts';

export interface State {
  /** `healthy`, or what is wrong with it in one word. */
  status: string;
  /** The names of what is worst: one more or one less is another state. */
  lines: string[];
  /** Of the run that saw it. */
  exitCode: number;
}

/** A state that people have been told. */
interface Told extends Omit<State, 'exitCode'> {
  /** When it stopped being healthy, or became it again. */
  since: string;
}

const HEALTHY = 'healthy';

/**
 * Tells people when the state of something is another than the one they were told last, once. Of two runs at the
 * same time one tells; the other leaves it to it.
 *
 * @param what it is the state of: a word, which names the file it is kept in, `<STATE_DIR>/<environment>.<what>.json`
 * @param details a line for each thing that is wrong
 */
export async function tellChange(
  config: Config,
  what: string,
  state: State,
  details: string[],
): Promise<void> {
  const { stateDir, environment } = config;
  const path = join(stateDir, `${environment}.${what}.json`);
  let compared = false;
  try {
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    await withLock(stateDir, `${environment}.${what}`, `telling the state of ${what}`, async () => {
      const told = await read(path);
      compared = true;
      if (isSame(told, state)) return sendKeptMessages(config); // an alert need not wait for the next one
      const began = told.status === HEALTHY || state.status === HEALTHY;
      const since = began ? new Date().toISOString() : told.since;
      const now: Told = { status: state.status, lines: state.lines, since };
      await notify(config, textFor(what, told, now, details), state.exitCode);
      await writeWhole(path, JSON.stringify(now) + '\n');
    });
  } catch (error) {
    if (error instanceof OperationalError && error.exitCode === Exit.locked) return;
    log.warn(`the state of ${what} can't be kept in ${path}, so it may be told again: ${messageOf(error)}`);
    if (compared || state.status === HEALTHY) return;
    // A disk that can't be written is what somebody should hear of, rather too often than never.
    await notify(
      config,
      [`${what} is ${state.status.toUpperCase()}:`, ...details].join('\n'),
      state.exitCode,
    );
  }
}

/** @returns what was told last; with nothing told yet, or an unreadable file, all was well */
async function read(path: string): Promise<Told> {
  try {
    const { status, lines, since } = JSON.parse(await readFile(path, 'utf8'));
    if (typeof status === 'string' && Array.isArray(lines) && !Number.isNaN(Date.parse(since)))
      return { status, lines, since };
  } catch {} // none yet, or damaged
  return { status: HEALTHY, lines: [], since: new Date().toISOString() };
}

function isSame(told: Told, now: State): boolean {
  return told.status === now.status && told.lines.toSorted().join() === now.lines.toSorted().join();
}

function textFor(what: string, told: Told, now: Told, details: string[]): string {
  if (now.status === HEALTHY) {
    const lasted = duration((Date.parse(now.since) - Date.parse(told.since)) / 1000);
    const lines = told.lines.length > 0 ? ` (${told.lines.join(', ')})` : '';
    return `${what} has recovered: it was ${told.status}${lines} for ${lasted}, since ${utc(told.since)}`;
  }
  const before = told.status === HEALTHY ? '' : `, before ${told.status}`;
  return [`${what} is ${now.status.toUpperCase()} since ${utc(now.since)}${before}:`, ...details].join('\n');
}
