import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Config } from '../config/config.ts';
import { word } from '../core/command-line.ts';
import { OperationalError } from '../core/errors.ts';
import { writeWhole } from '../core/files.ts';
import { utc } from '../core/format.ts';
import { operator } from '../core/run-history.ts';
import type { ServerLine } from '../nginx/upstreams.ts';
import { begunEntries } from './releases.ts';

const STEPS = ['pull', 'maintenance', 'restore', 'backup', 'migrate', 'roll', 'bake', 'revert'] as const;
export type JournalStep = (typeof STEPS)[number];

const begun = v.object(begunEntries);
const stored = v.object({
  ...begunEntries,
  step: v.picklist(STEPS),
  servers: v.array(v.pipe(v.string(), v.regex(/^server [^;]*;$/))),
  surge: v.nullable(v.pipe(v.string(), v.regex(/^backend-[1-8]$/))),
  /** {@link Progress.criticalBefore} */
  unwell: v.array(v.string()),
  data: v.optional(
    v.object({
      /** What to restore: a backup's id, a file, or `s3://bucket/key`. */
      wanted: v.string(),
      /** Whether it may have less than a tenth of the live database's rows. */
      allowSmall: v.boolean(),
      /** The number of the live database before, which a rename does not change; null: there was none. */
      oid: v.nullable(v.pipe(v.number(), v.integer())),
      /** Whether an operator had switched the maintenance page on before: then it stays on. */
      maintenance: v.boolean(),
    }),
  ),
});
type Stored = v.InferOutput<typeof stored>;

/** A rollback's change of the database. Whether it has happened is read from the server: see restoreData. */
export type DataChange = NonNullable<Stored['data']>;

/** A deployment that runs, in `state/<environment>.deploy.json`: --resume and --revert read it after a killed run. */
export interface Journal {
  /** What will be written to `state/releases.jsonl`, as far as it is known. */
  release: v.InferOutput<typeof begun>;
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
  /** Only of a rollback with the database. */
  data?: DataChange | undefined;
}

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
  const all: Stored = { ...release, ...rest, unwell };
  await writeWhole(pathOf(config), `${JSON.stringify(all, null, 2)}\n`);
}

/**
 * @returns whether a journal's deployment has come to this step
 */
export const hasReached = ({ step }: Progress, wanted: JournalStep): boolean =>
  STEPS.indexOf(step) >= STEPS.indexOf(wanted);

/**
 * @returns the journal that a killed run has left, or undefined
 * @throws OperationalError when it is damaged
 */
export function readJournal(config: Config): Journal | undefined {
  const path = pathOf(config);
  if (!existsSync(path)) return undefined;
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), stored), readFileSync(path, 'utf8'));
  if (!parsed.success) {
    const what = parsed.issues.map(issue => v.getDotPath(issue) ?? 'everything').join(', ');
    throw new OperationalError(
      `the journal of an interrupted deployment is damaged: ${path}: ${what} is wrong`,
      `mv ${word(path)} ${word(`${path}.damaged`)}; then ./scripts/deploy.ts TAG or ./scripts/rollback.ts RELEASE ` +
        'brings all instances to one release. ' +
        'While nginx/maintenance/on exists, visitors see the maintenance page.',
    );
  }
  const { step, servers, surge, unwell: criticalBefore, data, ...release } = parsed.output;
  return { release, progress: { step, servers, surge, criticalBefore, data } };
}

/** Deletes the journal of a deployment that has ended. */
export const deleteJournal = (config: Config): Promise<void> => rm(pathOf(config), { force: true });

/**
 * @param concerns which journals prevent this run; default: all
 * @throws OperationalError when a killed run has left a journal
 */
export function refuseUnfinished(config: Config, concerns: (journal: Journal) => boolean = () => true): void {
  const left = readJournal(config);
  if (!left || !concerns(left)) return;
  const { kind, release, time } = left.release;
  const what = kind === 'deploy' ? 'deploy of' : 'rollback to';
  throw new OperationalError(
    `a ${what} ${release} was interrupted at the step “${left.progress.step}”; it began ${utc(time)}`,
    './scripts/deploy.ts --resume finishes it, ./scripts/deploy.ts --revert goes back to the previous release.',
  );
}

/** A restore would replace or drop the database to which an interrupted rollback goes back. @throws like {@link refuseUnfinished} */
export const refuseUnfinishedData = (config: Config): void =>
  refuseUnfinished(config, ({ progress }) => progress.data !== undefined);
