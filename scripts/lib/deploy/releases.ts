import { appendFile, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Config, type Images, ROOT } from '../config/config.ts';
import { setVariable } from '../config/env-file.ts';
import { OperationalError, usageError } from '../core/errors.ts';
import { sync, writeWhole } from '../core/files.ts';
import { utc } from '../core/format.ts';
import { operator } from '../core/run-history.ts';
import type { ServerLine } from '../nginx/upstreams.ts';
import type { CanaryCount } from './canary.ts';

/** What a deployment or rollback was, in `state/releases.jsonl`. */
export interface Release {
  time: string;
  environment: string;
  kind: 'deploy' | 'rollback';
  /** `done`: these images serve. Otherwise the ones of `previous` do, or some of both. */
  outcome: 'done' | 'rolled back' | 'stopped';
  /** What it is called: the tag that was given, or the start of the digest. */
  release: string;
  images: Images;
  previous: Images;
  /** Migrations applied with it, and those of them after which `previous` may fail. */
  migrations: string[];
  contracting: string[];
  /** Made before a deployment, or restored by a rollback; or why there is none. */
  backup: string | null;
  by: string;
  seconds: number;
  canary: CanaryCount | null;
}

const STEPS = ['pull', 'backup', 'migrate', 'roll', 'bake', 'revert'] as const;
export type Step = (typeof STEPS)[number];

/** A deployment under way, in `state/<environment>.deploy.json`: what the run after a killed one goes by. */
export interface Journal extends Omit<Release, 'outcome' | 'seconds' | 'canary'> {
  /** The furthest that was ever reached: from `roll` on, instances may have been replaced. */
  step: Step;
  /** The list of backends before and after. */
  servers: ServerLine[];
  /** Lines of health-check.ts that were critical before. */
  unwell: string[];
  /** One instance more while it lasts. */
  surge: string | null;
}

const journalPath = ({ stateDir, environment }: Config) => join(stateDir, `${environment}.deploy.json`);
const releasesPath = ({ stateDir }: Config) => join(stateDir, 'releases.jsonl');

/** @returns the journal of a run that has done nothing yet */
export function newJournal(
  { environment }: Config,
  begun: Omit<Journal, 'time' | 'environment' | 'step' | 'by'>,
): Journal {
  return { time: new Date().toISOString(), environment, step: 'pull', by: operator(), ...begun };
}

/** Keeps what a deployment has come to, before it does it. A step that is done again is no step back. */
export async function writeJournal(config: Config, journal: Journal, step: Step): Promise<void> {
  if (STEPS.indexOf(step) > STEPS.indexOf(journal.step)) journal.step = step;
  await writeWhole(journalPath(config), `${JSON.stringify(journal, null, 2)}\n`);
}

/** @returns what a killed run left, or undefined */
export async function readJournal(config: Config): Promise<Journal | undefined> {
  const text = await readIfThere(journalPath(config));
  return text === undefined ? undefined : (JSON.parse(text) as Journal);
}

/** @throws when a killed run has left a deployment half-way */
export async function refuseUnfinished(config: Config): Promise<void> {
  const left = await readJournal(config);
  if (!left) return;
  throw new OperationalError(
    `a ${left.kind} of ${left.release} was interrupted at the step “${left.step}”; it began ${utc(left.time)}`,
    'deploy.ts --resume finishes it, deploy.ts --revert goes back to the release before.',
  );
}

/** Ends a deployment: its line in the list of releases, and no journal any more. */
export async function conclude(config: Config, release: Release): Promise<void> {
  await appendFile(releasesPath(config), `${JSON.stringify(release)}\n`, { mode: 0o600 });
  await sync(releasesPath(config));
  await rm(journalPath(config), { force: true });
}

/** @returns all that was tried in this environment, oldest first */
export async function readReleases(config: Config): Promise<Release[]> {
  const text = (await readIfThere(releasesPath(config))) ?? '';
  const lines = text.split('\n').filter(line => line.endsWith('}')); // a power cut can leave half a line
  return lines
    .map(line => JSON.parse(line) as Release)
    .filter(each => each.environment === config.environment);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A release that can be gone back to, and the contracting migrations that have been applied since. */
export interface Target {
  release: string;
  images: Images;
  since: string[];
}

/** @returns what can be gone back to, the release that serves first */
export function reachable(releases: Release[]): Target[] {
  const stack: Target[] = [];
  for (const { kind, outcome, release, images, previous, contracting, backup } of releases) {
    if (stack.length === 0) stack.unshift({ release: 'the one before', images: previous, since: [] });
    // A migration stays, whatever became of its release.
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

/** @throws exit code 2 when there is no such release, or none before the one that serves */
export function chooseRelease(targets: Target[], wanted: string | undefined): Target {
  const found = wanted === undefined ? targets[1] : targets.find(({ release }) => release === wanted);
  if (found) return found;
  throw usageError(
    wanted === undefined
      ? 'there is no release before this one'
      : `there is no release ${wanted} to go back to`,
    'rollback.ts --list shows those that there are.',
  );
}

/**
 * Writes the images into .env.<environment>, which Compose and the other scripts go by; everything else in it stays as it
 * is, comments included.
 */
export async function pinImages({ environment }: Pick<Config, 'environment'>, images: Images): Promise<void> {
  // An image's id, in the place of a name that has moved on, says nothing of where the next one comes from.
  if (images.backend.startsWith('sha256:') || images.frontend.startsWith('sha256:')) return;
  const path = join(ROOT, `.env.${environment}`);
  const before = (await readIfThere(path)) ?? '';
  const text = setVariable(
    setVariable(before, 'BACKEND_IMAGE', images.backend),
    'FRONTEND_IMAGE',
    images.frontend,
  );
  if (text !== before) await writeWhole(path, text);
}
