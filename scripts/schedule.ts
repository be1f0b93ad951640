#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { actionOf } from './lib/cli/action.ts';
import { command, execute } from './lib/cli/command.ts';
import type { Config } from './lib/config/config.ts';
import { Exit } from './lib/core/errors.ts';
import { withLock } from './lib/core/lock.ts';
import { log, logTo } from './lib/core/log.ts';
import { startService } from './lib/core/service.ts';
import { sleep } from './lib/core/signals.ts';
import { logMissingChannels, notify } from './lib/notify/notify.ts';
import { installBlock, ownBlock, removeBlock } from './lib/schedule/crontab-install.ts';
import { comingRuns, jobsOf } from './lib/schedule/jobs.ts';
import { runSchedule } from './lib/schedule/scheduler.ts';
import { readState, stateWriter } from './lib/schedule/state.ts';
import { statusOf } from './lib/schedule/status.ts';

export const schedule = command({
  summary: 'Schedule the recurring jobs: in this user’s crontab, or with a scheduler in the foreground.',
  usage: ['print | install | remove | next | run | status [--env production|staging] [--json]'],
  details:
    'The SCHEDULE_ variables set the times, in UTC whatever the time zone of the server.\n' +
    '  print    print the lines for a crontab\n' +
    '  install  put them at the end of this user’s crontab, replacing earlier ones\n' +
    '  remove   remove them; other lines do not change\n' +
    '  next     show when each job runs next\n' +
    '  run      run them in the foreground; one that was missed runs at the start\n' +
    '  status   check that this scheduler is alive and nothing is overdue',
  options: {},
  examples: [
    ['schedule.ts next', 'show the next runs'],
    ['schedule.ts install', 'run the jobs with cron'],
    ['schedule.ts install --env staging', 'add the jobs of staging'],
    ['schedule.ts status', 'check the scheduler of the backup service'],
  ],
  exitCodes: [
    [Exit.done, 'done; status: alive, and nothing overdue'],
    [Exit.failed, 'failed; status: not alive, or a job is overdue'],
    [
      Exit.usage,
      'wrong flags or configuration, a crontab in which a marker is missing, or with a line of the old scripts',
    ],
    [Exit.locked, 'a scheduler of this environment is already running'],
    [Exit.sigterm, 'run: stopped by SIGTERM, as intended'],
  ],
  positionals: 1,
  changesState: ([action]) => ['install', 'remove', 'run'].includes(action!),
  async run({ positionals: [word], config: load }) {
    const action = actionOf(word, ACTIONS, './scripts/schedule.ts next');
    return ACTIONS[action](load());
  },
});

const ACTIONS = {
  async print(config: Config) {
    const block = ownBlock(config);
    return { text: block.trimEnd(), json: { block } };
  },

  async install(config: Config) {
    const changed = await installBlock(config);
    const done = changed ? 'installed in' : 'unchanged in';
    const mails = config.mailTo ?? 'the crontab’s user (SCHEDULE_MAILTO is not configured)';
    const next = comingRuns(config, new Date());
    return {
      text: `the lines of ${config.environment} are ${done} the crontab; cron mails ${mails}\n\n${next.text}`,
      json: { changed, ...next.json },
    };
  },

  async remove(config: Config) {
    const changed = await removeBlock(config);
    const text = changed ? 'are removed from the crontab' : 'are not in the crontab';
    return { text: `the lines of ${config.environment} ${text}`, json: { changed } };
  },

  async next(config: Config) {
    return comingRuns(config, new Date());
  },

  async run(config: Config): Promise<never> {
    const { environment, stateDir, logDir } = config;
    logTo(`${logDir}/schedule.log`);
    return withLock(stateDir, `${environment}.schedule`, 'schedule.ts run', async () => {
      logMissingChannels(config);
      // The start of this process: a job that became due while it started runs, as the table says.
      const since = new Date(Date.now() - process.uptime() * 1000);
      log.info(`the schedule of ${environment} runs\n${comingRuns(config, since).text}`);
      return runSchedule(jobsOf(config).jobs, readState(config), since, {
        now: () => new Date(),
        sleep,
        // exec: a signal to the process group would end bash before the script ends.
        start: ({ argv }) => startService(['exec', ...argv], { log: 2 }),
        save: stateWriter(config),
        notify: (text, exitCode) => notify(config, text, exitCode),
      });
    });
  },

  async status(config: Config) {
    const { text, json } = statusOf(readState(config), new Date());
    return { text, json, exitCode: json.problems.length > 0 ? Exit.failed : Exit.done };
  },
};

if (import.meta.main) await execute(schedule);
