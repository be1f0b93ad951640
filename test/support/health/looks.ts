/** The health check of an environment where no Docker is on PATH, and what turns its lines. */
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../../../scripts/lib/config/config.ts';
import { allChecks } from '../../../scripts/lib/health/all-checks.ts';
import { jsonReport, OVERALL, overallOf } from '../../../scripts/lib/health/report.ts';
import { runChecks } from '../../../scripts/lib/health/runner.ts';
import { plant, store } from '../backup/old-backups.ts';
import { programsBut } from '../core/programs.ts';
import { startScript, type World } from '../core/world.ts';
import { type Report, reportOf } from './health.ts';

type Env = Record<string, string>;

export interface Looks {
  /** The checks in this process, with the environment of a script. */
  look: (env?: Env) => Promise<Report>;
  /** The same as a process: what is left of it, what it does when something hangs, its flags. */
  lookOutside: (env?: Env, ...args: string[]) => Promise<Report>;
  /** Another PATH, on which one more program comes first. */
  withProgram: (name: string, script: string) => Env;
}

/** Sets the PATH of `env` and of this process to one without docker and timedatectl. */
export function looksAt({ env, directory }: Pick<World, 'env' | 'directory'>): Looks {
  const programs = programsBut(join(directory, 'programs'), env.PATH!, /^(docker|timedatectl)$/);
  env.PATH = programs;
  process.env.PATH = programs;
  return {
    look: async (more = {}) => {
      process.env.PATH = more.PATH ?? programs;
      try {
        const config = loadConfig('production', { ...env, ...more });
        const results = await runChecks(allChecks(config));
        const overall = overallOf(results);
        const stdout = JSON.stringify(jsonReport(config.environment, overall, results));
        return reportOf({ code: OVERALL[overall].code, signal: null, stdout, stderr: '' });
      } finally {
        process.env.PATH = programs;
      }
    },
    lookOutside: async (more = {}, ...args) =>
      reportOf(await startScript('health-check', ['--json', ...args], { ...env, ...more }).ended),
    withProgram: (name, script) => {
      const first = mkdtempSync(join(directory, 'first-'));
      writeFileSync(join(first, name), script);
      chmodSync(join(first, name), 0o755);
      return { PATH: `${first}:${programs}` };
    },
  };
}

/** A day's part. */
export const HOUR = 1 / 24;

/** A schedule on which a backup was due three hours ago, and one each day before. */
function dueThreeHoursAgo(): Env {
  const due = new Date(Date.now() - 3 * 3_600_000);
  return { SCHEDULE_BACKUP: `${due.getUTCMinutes()} ${due.getUTCHours()} * * *` };
}

let places = 0;

/** A backup directory and a prefix in S3 with nothing but copies of backup `id` of these ages in days. */
export async function withBackups(world: World, id: string, ...ages: number[]): Promise<Env> {
  const into = join(world.directory, `backups-${++places}`);
  const env = { ...dueThreeHoursAgo(), BACKUP_DIR: into, S3_PREFIX: `ages-${places}` };
  mkdirSync(into);
  for (const days of ages) await store(world, env, await plant(world.env.BACKUP_DIR!, id, { days }, into));
  return env;
}
