/** A rotation that runs, in `state/<environment>.rotate.json`: --resume reads it after a killed run. It has no secret. */
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

const stored = v.object({
  time: v.string(),
  by: v.string(),
  /** The variable. */
  name: v.pipe(v.string(), v.regex(/^[A-Z][A-Z0-9_]*$/)),
  /** The step that runs. */
  step: v.string(),
  /** The list of backends, which is the same before and after. */
  servers: v.array(v.pipe(v.string(), v.regex(/^server [^;]*;$/))),
  /** The containers, by service, that are older than the last change of the file; null: not noted yet. */
  old: v.nullable(v.record(v.string(), v.string())),
  /** Of the new value of an application's secret, see {@link printOf}. */
  print: v.nullable(v.string()),
});
export type Rotation = v.InferOutput<typeof stored>;

const pathOf = ({ stateDir, environment }: Config) => join(stateDir, `${environment}.rotate.json`);

/** @returns the journal of a rotation that has changed nothing yet */
export const newRotation = (name: string, step: string, servers: string[]): Rotation => ({
  time: new Date().toISOString(),
  by: operator(),
  name,
  step,
  servers,
  old: null,
  print: null,
});

export async function writeRotation(config: Config, rotation: Rotation): Promise<void> {
  await writeWhole(pathOf(config), `${JSON.stringify(rotation, null, 2)}\n`);
}

/**
 * @returns the journal that a killed or failed run has left, or undefined
 * @throws OperationalError when it is damaged
 */
export function readRotation(config: Config): Rotation | undefined {
  const path = pathOf(config);
  if (!existsSync(path)) return undefined;
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), stored), readFileSync(path, 'utf8'));
  if (parsed.success) return parsed.output;
  throw new OperationalError(
    `the journal of an interrupted rotation is damaged: ${path}`,
    `the stack works. mv ${word(path)} ${word(`${path}.damaged`)}; then rotate the same secret once more.`,
  );
}

/** Deletes the journal of a rotation that has ended. */
export const deleteRotation = (config: Config): Promise<void> => rm(pathOf(config), { force: true });

/** @throws OperationalError when a rotation is not finished: what starts instances then would come between */
export function refuseUnfinishedRotation(config: Config): void {
  const left = readRotation(config);
  if (!left) return;
  throw new OperationalError(
    `a rotation of ${left.name} was interrupted at the step “${left.step}”; it began ${utc(left.time)}`,
    'the stack works meanwhile. ./scripts/secrets.ts rotate --resume finishes it.',
  );
}
