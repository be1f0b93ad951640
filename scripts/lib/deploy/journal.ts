import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { writeWhole } from '../core/files.ts';
import { utc } from '../core/format.ts';
import { operator } from '../core/run-history.ts';
import type { ServerLine } from '../nginx/upstreams.ts';
import type { Release } from './releases.ts';

const STEPS = ['pull', 'backup', 'migrate', 'roll', 'bake', 'revert'] as const;
export type JournalStep = (typeof STEPS)[number];

/** A deployment that runs, in `state/<environment>.deploy.json`: --resume and --revert read it after a killed run. */
export interface Journal {
  /** What will be written to `state/releases.jsonl`, as far as it is known. */
  release: Omit<Release, 'outcome' | 'seconds' | 'canary'>;
  progress: Progress;
}

export interface Progress {
  /** The furthest step that was ever reached: from `roll` on, instances may have been replaced. */
  step: JournalStep;
  /** The list of backends, which is the same before and after. */
  servers: ServerLine[];
  /** What health-check.ts found critical before. */
  criticalBefore: string[];
  /** The instance that is added for the time of the deployment. */
  surge: string | null;
}

/** The file, in which release and progress are one object. */
type Stored = Journal['release'] & Omit<Progress, 'criticalBefore'> & { unwell: string[] };

const pathOf = ({ stateDir, environment }: Config) => join(stateDir, `${environment}.deploy.json`);

/** @returns the journal of a run that has changed nothing yet */
export function newJournal(
  { environment }: Config,
  release: Omit<Journal['release'], 'time' | 'environment' | 'by'>,
  progress: Omit<Progress, 'step'>,
): Journal {
  return {
    release: { time: new Date().toISOString(), environment, by: operator(), ...release },
    progress: { step: 'pull', ...progress },
  };
}

/** Writes the journal before a step begins. An earlier step that is repeated does not move `step` back. */
export async function writeJournal(
  config: Config,
  { release, progress }: Journal,
  step: JournalStep,
): Promise<void> {
  if (STEPS.indexOf(step) > STEPS.indexOf(progress.step)) progress.step = step;
  const { criticalBefore: unwell, ...rest } = progress;
  const stored: Stored = { ...release, ...rest, unwell };
  await writeWhole(pathOf(config), `${JSON.stringify(stored, null, 2)}\n`);
}

/** @returns the journal that a killed run has left, or undefined */
export function readJournal(config: Config): Journal | undefined {
  if (!existsSync(pathOf(config))) return undefined;
  const stored: Stored = JSON.parse(readFileSync(pathOf(config), 'utf8'));
  const { step, servers, surge, unwell: criticalBefore, ...release } = stored;
  return { release, progress: { step, servers, surge, criticalBefore } };
}

/** Deletes the journal of a deployment that has ended. */
export const deleteJournal = (config: Config): Promise<void> => rm(pathOf(config), { force: true });

/** @throws OperationalError when a killed run has left a journal */
export function refuseUnfinished(config: Config): void {
  const left = readJournal(config);
  if (!left) return;
  const { kind, release, time } = left.release;
  throw new OperationalError(
    `a ${kind} of ${release} was interrupted at the step “${left.progress.step}”; it began ${utc(time)}`,
    'deploy.ts --resume finishes it, deploy.ts --revert goes back to the previous release.',
  );
}
