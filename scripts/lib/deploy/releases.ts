import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { type Config, ENVIRONMENTS, type Images } from '../config/config.ts';
import { usageError } from '../core/errors.ts';
import { refuseUnwritablePath, sync } from '../core/files.ts';
import { isTime } from '../core/format.ts';
import { appendLine, parseLines } from '../core/json-lines.ts';
import { log } from '../core/log.ts';
import { shortenReleases } from './shorten-releases.ts';

const images = v.object({ backend: v.string(), frontend: v.string() });

/** What is known of a deployment or rollback from its begin. */
export const begunEntries = {
  time: v.pipe(v.string(), v.check(isTime)),
  environment: v.picklist(ENVIRONMENTS),
  kind: v.picklist(['deploy', 'rollback']),
  /** Its name: the tag, or the start of the digest. */
  release: v.string(),
  images,
  previous: images,
  /** Migrations that were applied. */
  migrations: v.array(v.string()),
  /** Those of them after which `previous` may fail. */
  contracting: v.array(v.string()),
  /** The backup made before a deployment or restored by a rollback; `skipped: ` and the reason; null: none yet. */
  backup: v.nullable(v.string()),
  by: v.string(),
};

const releaseSchema = v.object({
  ...begunEntries,
  /** `done`: `images` serve; `rolled back`: `previous` serve; `stopped`: some of both. */
  outcome: v.picklist(['done', 'rolled back', 'stopped']),
  seconds: v.number(),
  canary: v.nullable(
    v.object({
      sent: v.number(),
      failed: v.number(),
      slowest: v.number(),
      failures: v.array(v.string()),
      reopened: v.number(),
    }),
  ),
});

/** A deployment or rollback that has ended, a line of `state/releases.jsonl`. */
export type Release = v.InferOutput<typeof releaseSchema>;

const pathOf = ({ stateDir }: Config) => join(stateDir, 'releases.jsonl');

/** @throws OperationalError when this user can't record a release */
export const refuseUnwritableReleases = (config: Config): Promise<void> =>
  refuseUnwritablePath(pathOf(config), 'record the release');

/** Adds a deployment or rollback that has ended, unless a killed run has added it with the same outcome. */
export async function appendRelease(config: Config, release: Release): Promise<void> {
  const last = readReleases(config).at(-1);
  if (last?.time === release.time && last.outcome === release.outcome) return;
  appendLine(pathOf(config), JSON.stringify(release));
  await sync(pathOf(config));
  await shortenReleases(config, pathOf(config));
}

/**
 * Reads the deployments and rollbacks of this environment. A damaged line, as a power loss leaves it, is ignored with a warning.
 *
 * @returns them, the oldest first. Of one that was killed between its record and its end, and was then reverted, only the last
 *   line counts.
 */
export function readReleases(config: Config): Release[] {
  const path = pathOf(config);
  if (!existsSync(path)) return [];
  const all = parseLines(readFileSync(path, 'utf8'), releaseSchema, line =>
    log.warnOnce(`line ${line} of ${path} is damaged and is ignored: delete it`),
  ).filter(({ environment }) => environment === config.environment);
  return all.filter(({ time }, index) => all[index + 1]?.time !== time);
}

/** A release that rollback.ts can go back to. */
export interface Target {
  release: string;
  images: Images;
  /** The contracting migrations that have been applied since. */
  since: string[];
  /** Whether its deployment stopped: some instances may run it, and others the release before it. */
  stopped?: true;
}

/** @returns the releases that rollback.ts can go back to, after the one that serves or is deployed in part */
export function reachable(releases: Release[]): Target[] {
  const stack: Target[] = [];
  for (const { kind, outcome, release, images, previous, contracting, backup } of releases) {
    if (stack.length === 0) stack.unshift({ release: 'the initial release', images: previous, since: [] });
    // A migration stays applied, even when its release was rolled back.
    for (const target of stack) target.since.push(...contracting);
    if (outcome === 'rolled back') continue;
    if (stack[0]?.stopped) stack.shift();
    if (outcome === 'stopped') {
      stack.unshift({ release, images, since: [], stopped: true });
      continue;
    }
    const known = stack.findIndex(target => sameImages(target.images, images));
    if (kind === 'rollback' && backup) for (const target of stack) target.since = []; // the database went back too
    if (kind === 'rollback' && known >= 0) stack.splice(0, known);
    else if (known !== 0) stack.unshift({ release, images, since: [] });
  }
  return stack;
}

const sameImages = (a: Images, b: Images) => a.backend === b.backend && a.frontend === b.frontend;

/**
 * @param wanted a release's name; undefined: the release before the one that serves
 * @throws OperationalError with exit code 2 when there is none
 */
export function chooseRelease(targets: Target[], wanted: string | undefined): Target {
  // A tag may have been deployed twice: then the earlier one is meant, not the one that serves.
  const named = ({ release }: Target) => release === wanted;
  const found = wanted === undefined ? targets[1] : (targets.slice(1).find(named) ?? targets.find(named));
  if (found) return found;
  throw usageError(
    wanted === undefined ? 'there is no earlier release' : `there is no release ${wanted} to go back to`,
    './scripts/rollback.ts --list shows the releases.',
  );
}

/** @returns the name by which rollback.ts knows the release that served before a deployment that stops now */
export function releaseBefore(
  config: Config,
  begun: Omit<Release, 'outcome' | 'seconds' | 'canary'>,
): string {
  const stopped: Release = { ...begun, outcome: 'stopped', seconds: 0, canary: null };
  // A run that was killed at its end has recorded it.
  const before = readReleases(config).filter(({ time }) => time !== begun.time);
  return chooseRelease(reachable([...before, stopped]), undefined).release;
}
