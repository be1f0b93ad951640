import { existsSync, readFileSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config, Images } from '../config/config.ts';
import { usageError } from '../core/errors.ts';
import { sync } from '../core/files.ts';
import type { CanaryCount } from './canary.ts';

/** A deployment or rollback that has ended, a line of `state/releases.jsonl`. */
export interface Release {
  time: string;
  environment: string;
  kind: 'deploy' | 'rollback';
  /** `done`: `images` serve; `rolled back`: `previous` serve; `stopped`: some of both. */
  outcome: 'done' | 'rolled back' | 'stopped';
  /** Its name: the tag, or the start of the digest. */
  release: string;
  images: Images;
  previous: Images;
  /** Migrations that were applied. */
  migrations: string[];
  /** Those of them after which `previous` may fail. */
  contracting: string[];
  /** The backup made before a deployment or restored by a rollback; `skipped: ` and the reason; null: none yet. */
  backup: string | null;
  by: string;
  seconds: number;
  canary: CanaryCount | null;
}

const pathOf = ({ stateDir }: Config) => join(stateDir, 'releases.jsonl');

/** Adds a deployment or rollback that has ended. */
export async function appendRelease(config: Config, release: Release): Promise<void> {
  await appendFile(pathOf(config), `${JSON.stringify(release)}\n`, { mode: 0o600 });
  await sync(pathOf(config));
}

/** @returns all deployments and rollbacks of this environment, the oldest first */
export function readReleases(config: Config): Release[] {
  if (!existsSync(pathOf(config))) return [];
  return readFileSync(pathOf(config), 'utf8')
    .split('\n')
    .filter(line => line.endsWith('}')) // a power cut can leave half a line
    .map(line => JSON.parse(line) as Release)
    .filter(({ environment }) => environment === config.environment);
}

/** A release that rollback.ts can go back to. */
export interface Target {
  release: string;
  images: Images;
  /** The contracting migrations that have been applied since. */
  since: string[];
}

/** @returns the releases that rollback.ts can go back to, after the one that serves */
export function reachable(releases: Release[]): Target[] {
  const stack: Target[] = [];
  for (const { kind, outcome, release, images, previous, contracting, backup } of releases) {
    if (stack.length === 0) stack.unshift({ release: 'the initial release', images: previous, since: [] });
    // A migration stays applied, even when its release was rolled back.
    for (const target of stack) target.since.push(...contracting);
    if (outcome !== 'done') continue;
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
  const found = wanted === undefined ? targets[1] : targets.find(({ release }) => release === wanted);
  if (found) return found;
  throw usageError(
    wanted === undefined ? 'there is no earlier release' : `there is no release ${wanted} to go back to`,
    'rollback.ts --list shows the releases.',
  );
}
