/** Sends the backups that miss their off-site copy. */
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Config } from '../config/config.ts';
import { Exit, messageOf, type OperationalError } from '../core/errors.ts';
import { writeWhole } from '../core/files.ts';
import { isTime, plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import { attempt } from '../core/signals.ts';
import type { Store } from '../s3/open-store.ts';
import { type Backup, localBackups, storedBackups } from './catalog.ts';
import { copiesOf, missingCopies } from './missing-copies.ts';
import { uploadBackup } from './offsite-copy.ts';
import { checkFiles } from './verify.ts';

/** Of one run: enough to catch up, and not so much that the next jobs wait for it. */
export const LIMITS = {
  /** How many are tried. */
  count: 3,
  /** After this time no other is begun. */
  seconds: 1800,
};

/** What a run did about missing copies. */
export interface SentCopies {
  /** Ids, oldest data first. */
  sent: string[];
  /** How many are left for later runs. */
  left: number;
  /** For the operator. */
  warnings: string[];
  /** Whether the store failed. */
  offsiteFailed: boolean;
}

/**
 * Sends what {@link missingCopies} names, within {@link LIMITS}: the oldest first, which expires first, but those that
 * failed in earlier runs after all others, so that one that always fails holds up none. The caller holds the
 * environment's lock. A failure is a warning.
 *
 * @throws a signal and a bug
 */
export async function sendMissing(config: Config, store: Store, limits = LIMITS): Promise<SentCopies> {
  const result: SentCopies = { sent: [], left: 0, warnings: [], offsiteFailed: false };
  const missing = await attempt(() => findMissing(config, store, true));
  if (missing.problem) {
    log.info(`whether earlier backups miss their off-site copy is not known: ${missing.problem.message}`);
    return result;
  }
  const failures = await readFailures(config);
  const failedAt = ({ id }: Backup) => failures.get(id) ?? '';
  const queue = missing.value!.toSorted((a, b) => failedAt(a).localeCompare(failedAt(b)));
  const started = performance.now();
  for (const [index, backup] of queue.slice(0, limits.count).entries()) {
    if (index > 0 && (performance.now() - started) / 1000 > limits.seconds) break;
    const { problem } = await attempt(() => send(config, store, backup));
    if (problem) {
      failures.set(backup.id, new Date().toISOString());
      fail(result, backup, problem);
    } else {
      log.done(`sent the off-site copy of ${backup.id}, which was missing`);
      result.sent.push(backup.id);
    }
  }
  result.left = queue.length - result.sent.length;
  const open = new Set(queue.map(({ id }) => id).filter(id => !result.sent.includes(id)));
  await writeFailures(config, new Map([...failures].filter(([id]) => open.has(id))));
  return result;
}

/** @returns which backups miss their copy, oldest data first. @throws exit code 4 */
export async function findMissing(config: Config, store: Store, remember = false): Promise<Backup[]> {
  const now = Date.now();
  const local = await localBackups(config, now);
  const stored = await storedBackups(config, store, now, remember);
  return missingCopies(config, store.settings.retentionDays, local, copiesOf(stored));
}

/** @returns lines for the operator, without the warnings */
export function describeSent({ sent, left }: SentCopies): string[] {
  const lines: string[] = [];
  if (sent.length > 0) lines.push(`sent missing off-site copies: ${sent.join(', ')}`);
  if (left > 0) lines.push(`${missCopy(left)}; the next runs of backup.ts try again`);
  return lines;
}

/** @returns `2 earlier backups miss their off-site copy` */
export function missCopy(count: number): string {
  return `${plural(count, 'earlier backup')} ${count === 1 ? 'misses its' : 'miss their'} off-site copy`;
}

/** A file that has changed since it was verified must not become a copy that looks verified. */
async function send(config: Config, store: Store, { manifest }: Backup): Promise<void> {
  await checkFiles(config.backupDir, manifest);
  await uploadBackup(config, store, manifest);
}

function fail(result: SentCopies, { id }: Backup, problem: OperationalError): void {
  const warning = `the off-site copy of ${id} is still missing: ${problem.message}; ${problem.hint}`;
  log.warn(warning);
  result.warnings.push(warning);
  if (problem.exitCode === Exit.offsite) result.offsiteFailed = true;
}

const failuresSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.record(v.string(), v.pipe(v.string(), v.check(isTime))),
);
const failuresFile = ({ stateDir, environment }: Config) =>
  join(stateDir, `${environment}.failed-copies.json`);

/** @returns when the copy of each backup last failed, by its id */
async function readFailures(config: Config): Promise<Map<string, string>> {
  const path = failuresFile(config);
  if (!existsSync(path)) return new Map();
  const parsed = v.safeParse(failuresSchema, await readFile(path, 'utf8'));
  if (!parsed.success) log.warn(`${path} is damaged and is ignored`);
  return new Map(Object.entries(parsed.success ? parsed.output : {}));
}

async function writeFailures(config: Config, failures: Map<string, string>): Promise<void> {
  const path = failuresFile(config);
  if (failures.size === 0 && !existsSync(path)) return;
  try {
    await mkdir(config.stateDir, { recursive: true, mode: 0o700 });
    await writeWhole(path, JSON.stringify(Object.fromEntries(failures)));
  } catch (error) {
    log.warn(`which off-site copies failed is not kept: ${messageOf(error)}`);
  }
}
