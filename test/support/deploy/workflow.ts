import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import { type Ended, startProgram } from '../core/world.ts';

export interface Step {
  name?: string;
  uses?: string;
  run?: string;
  if?: string;
  env?: Record<string, string>;
  with?: Record<string, unknown>;
}

export interface Job {
  permissions?: Record<string, string>;
  environment?: string;
  needs?: string | string[];
  if?: string;
  env?: Record<string, string>;
  strategy?: { matrix: Record<string, string[]> };
  outputs?: Record<string, string>;
  steps: Step[];
  'timeout-minutes'?: number;
}

export interface Workflow {
  on: Record<string, unknown>;
  permissions?: Record<string, string>;
  concurrency?: { group: string; 'cancel-in-progress': boolean };
  defaults?: { run: { shell: string } };
  env?: Record<string, string>;
  jobs: Record<string, Job>;
}

export const DIRECTORY = join(ROOT, '.github/workflows');
export const FILES = readdirSync(DIRECTORY).sort();

export const textOf = (file: string): string => readFileSync(join(DIRECTORY, file), 'utf8');

/** Parsed once: a test asks for the same files dozens of times. */
const workflows = new Map(FILES.map(file => [file, parse(textOf(file)) as Workflow]));
export const workflow = (file: string): Workflow => workflows.get(file)!;

/** Every step of every workflow, with where it stands. */
export const STEPS: { where: string; file: string; job: Job; step: Step }[] = FILES.flatMap(file =>
  Object.entries(workflow(file).jobs).flatMap(([id, job]) =>
    job.steps.map(step => ({
      where: `${file} ${id}: ${step.name ?? step.uses ?? step.run}`,
      file,
      job,
      step,
    })),
  ),
);

/** @returns the step of that name */
export function stepOf(file: string, id: string, name: string): Step {
  const step = workflow(file).jobs[id]?.steps.find(each => each.name === name);
  if (!step?.run) throw new Error(`${file} has no step ${name} in ${id} that runs something`);
  return step;
}

/** One job on a runner of its own: a place for files, and what its steps output. */
export interface Runner {
  directory: string;
  /** Runs the step's own lines, as GitHub does, in an environment of nothing but what GitHub and `given` have. */
  run: (
    step: string,
    given: Record<string, string>,
    options?: { cwd?: string; path?: string },
  ) => Promise<Ended>;
  outputs: () => Record<string, string>;
  remove: () => void;
}

/** What the workflows make of the event, for the steps of all jobs. */
const GIVEN_TO_ALL = { VERSION: 'v2.4.0', RUN: '4711-1' };

/** @returns a runner for one job of a workflow */
export function startRunner(file: string, id: string): Runner {
  const directory = mkdtempSync(join(tmpdir(), 'runner-'));
  const output = join(directory, 'output');
  writeFileSync(output, '');
  const { env: global = {}, jobs } = workflow(file);
  return {
    directory,
    run(name, given, { cwd = directory, path = process.env.PATH! } = {}) {
      const step = stepOf(file, id, name);
      const declared = { ...global, ...jobs[id]!.env, ...step.env };
      const values: Record<string, string> = { ...declared, ...GIVEN_TO_ALL, ...given };
      const missing = Object.entries(declared).filter(
        ([key, value]) => value.includes('${{') && values[key] === value,
      );
      const unknown = Object.keys(given).filter(key => !key.startsWith('GITHUB_') && !(key in declared));
      if (missing.length + unknown.length > 0) {
        throw new Error(`the step ${name} has ${missing} that is not given, or has not ${unknown}`);
      }
      const script = join(directory, 'step.sh');
      writeFileSync(script, step.run!);
      return startProgram(
        'bash',
        ['--noprofile', '--norc', '-eo', 'pipefail', script],
        {
          PATH: path,
          HOME: directory,
          RUNNER_TEMP: directory,
          GITHUB_OUTPUT: output,
          GITHUB_REPOSITORY: 'Owner/Product',
          ...values,
        },
        { cwd },
      ).ended;
    },
    outputs: () =>
      Object.fromEntries(
        readFileSync(output, 'utf8')
          .split('\n')
          .filter(line => line !== '')
          .map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      ),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
