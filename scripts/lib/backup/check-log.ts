/** When each backup was last read, and last loaded: one line a check in `<stateDir>/backup-checks.jsonl`. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Config } from '../config/config.ts';
import { messageOf } from '../core/errors.ts';
import { isTime } from '../core/format.ts';
import { appendLine, parseLines } from '../core/json-lines.ts';
import { log, rotate } from '../core/log.ts';
import type { Bounds } from '../core/rotate.ts';
import type { LocalSource } from './fetch.ts';
import { isOurs } from './manifest.ts';

const time = v.pipe(v.string(), v.check(isTime));
const schema = v.object({
  id: v.string(),
  place: v.picklist(['local', 's3']),
  /** `read`: every byte, against the checksums. `loaded`: also into a database, and compared with the manifest. */
  check: v.picklist(['read', 'loaded']),
  at: time,
});

export type BackupCheck = v.InferOutput<typeof schema>;

const fileOf = ({ stateDir }: Config) => join(stateDir, 'backup-checks.jsonl');
/** About 8,000 checks. The older file is read too: the last load of a weekly check must be found. */
const BOUNDS: Bounds = { limit: 1e6, older: 1 };

/** Notes that a backup has passed a check now. A failure to write is a warning: the check itself has passed. */
export function recordCheck(config: Config, { id, place, check }: Omit<BackupCheck, 'at'>): void {
  try {
    mkdirSync(config.stateDir, { recursive: true, mode: 0o700 });
    const line = JSON.stringify({ id, place, check, at: new Date().toISOString() });
    rotate(fileOf(config), BOUNDS);
    appendLine(fileOf(config), line);
  } catch (error) {
    log.warn(`this check of ${id} is not recorded: ${messageOf(error)}`);
  }
}

/** The same for a backup of this app and environment that was found and read, or loaded; others are not recorded. */
export function recordPassed(config: Config, source: LocalSource, check: BackupCheck['check']): void {
  const { manifest, directory, work } = source;
  if (!manifest || !isOurs(manifest.id, config) || (check === 'loaded' && source.foreign)) return;
  recordCheck(config, { id: manifest.id, place: directory === work ? 's3' : 'local', check });
}

/** @returns the recorded checks, oldest first; a damaged line is ignored with a warning */
export function readChecks(config: Config): BackupCheck[] {
  const read = (path: string) =>
    parseLines(existsSync(path) ? readFileSync(path, 'utf8') : '', schema, line =>
      log.warn(`line ${line} of ${path} is damaged and is ignored`),
    );
  // In this order: what another process rotates in between is read twice, not missed.
  const newer = read(fileOf(config));
  return [...read(`${fileOf(config)}.1`), ...newer];
}

/** @returns the time of the last check of that kind, in either place unless one is given; undefined: never */
export function lastCheck(
  checks: BackupCheck[],
  id: string,
  check: BackupCheck['check'],
  place?: BackupCheck['place'],
): string | undefined {
  // Who loads a backup reads it as well.
  return checks.findLast(
    each =>
      each.id === id &&
      (each.check === check || each.check === 'loaded') &&
      (place === undefined || each.place === place),
  )?.at;
}
