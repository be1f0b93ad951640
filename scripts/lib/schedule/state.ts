import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Config } from '../config/config.ts';
import { messageOf } from '../core/errors.ts';
import { writeWhole } from '../core/files.ts';
import { isTime } from '../core/format.ts';
import { log } from '../core/log.ts';

const time = v.pipe(v.string(), v.check(isTime));

const stateSchema = v.object({
  /** When the scheduler last looked at the clock. */
  heartbeat: time,
  jobs: v.record(
    v.string(),
    v.object({
      expression: v.string(),
      /** The last due time that was handled; for a new job, the time when it was added. */
      due: time,
      started: v.optional(time),
      /** Absent while the job runs, and when it was cut short. */
      finished: v.optional(time),
      exitCode: v.optional(v.pipe(v.number(), v.safeInteger())),
      /** This run repeats one that was cut short. */
      repeated: v.optional(v.boolean()),
      /** It was due then, and did not start because the run before was still running. */
      refused: v.optional(time),
    }),
  ),
});

/** The state of the jobs, on disk, so that a restart skips no run and repeats none. */
export type State = v.InferOutput<typeof stateSchema>;
export type JobState = State['jobs'][string];

const pathOf = ({ stateDir, environment }: Config) => join(stateDir, `${environment}.schedule.json`);

/** @returns the state; undefined if there is none, or with a warning if it can't be read */
export function readState(config: Config): State | undefined {
  const path = pathOf(config);
  if (!existsSync(path)) return undefined;
  try {
    const { success, output, issues } = v.safeParse(stateSchema, JSON.parse(readFileSync(path, 'utf8')));
    if (!success) throw new Error(`${v.getDotPath(issues[0]) ?? 'the whole file'} is wrong`);
    return output;
  } catch (error) {
    log.warn(`${path} can't be read and is ignored: ${messageOf(error).split('\n')[0]}`);
    return undefined;
  }
}

/** @returns a function that writes the state; it logs a warning for the first failure after a success */
export function stateWriter(config: Config): (state: State) => Promise<void> {
  let failing = false;
  let writing = Promise.resolve(); // two at once would write the same file
  return state => {
    const text = JSON.stringify(state, null, 2);
    writing = writing.then(async () => {
      try {
        mkdirSync(config.stateDir, { recursive: true, mode: 0o700 });
        await writeWhole(pathOf(config), text);
        failing = false;
      } catch (error) {
        if (!failing) log.warn(`can't write the state of the schedule: ${messageOf(error)}`);
        failing = true;
      }
    });
    return writing;
  };
}
