#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { command, execute } from './lib/cli/command.ts';
import type { Config } from './lib/config/config.ts';
import { Exit, usageError } from './lib/core/errors.ts';
import { withLock } from './lib/core/lock.ts';
import { log, logTo } from './lib/core/log.ts';
import { startService } from './lib/core/service.ts';
import { sleep } from './lib/core/signals.ts';
import { notify, sayWhoIsTold } from './lib/notify/notify.ts';
import { installBlock, ownBlock, removeBlock } from './lib/schedule/crontab-install.ts';
import { comingRuns, jobsOf } from './lib/schedule/jobs.ts';
import { runSchedule } from './lib/schedule/scheduler.ts';
import { readState, stateWriter } from './lib/schedule/state.ts';
import { statusOf } from './lib/schedule/status.ts';

export const schedule = command({
  summary: 'Have the recurring work done: by this user’s crontab, or by a scheduler in the foreground.',
  usage: ['print | install | remove | next | run | status [--env production|staging] [--json]'],
  details:
    'Times are the SCHEDULE_ variables’, in UTC whatever the zone of the server.\n' +
    'print    the lines for a crontab\n' +
    'install  put them at the end of this user’s crontab, in the place of those that are there\n' +
    'remove   take them out again; other lines stay as they are\n' +
    'next     when each job comes next\n' +
    'run      do the same in the foreground, as the backup service does; what was missed is made up for once\n' +
    'status   whether that scheduler is alive and nothing is overdue',
  options: {},
  examples: [
    ['schedule.ts next', 'what happens when'],
    ['schedule.ts install', 'from now on cron does it'],
    ['schedule.ts install --env staging', 'staging’s as well, beside it'],
    ['schedule.ts status', 'is the backup service doing its work?'],
  ],
  exitCodes: [
    [Exit.done, 'done; status: alive, and nothing overdue'],
    [Exit.failed, 'failed; status: not so, and why'],
    [Exit.usage, 'wrong flags or configuration, or a crontab whose markers are broken'],
    [Exit.locked, 'this environment’s scheduler is at work already'],
    [Exit.sigterm, 'run: ended by SIGTERM, as it should be'],
  ],
  positionals: 1,
  changesState: ([action]) => ['install', 'remove', 'run'].includes(action!),
  async run({ positionals: [action], config: load }) {
    if (!isAction(action))
      throw usageError(
        action === undefined ? 'nothing to do is named' : `there is no ${JSON.stringify(action)} here`,
        `use schedule.ts ${Object.keys(ACTIONS).join(', ')}.`,
      );
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
    const said = changed ? 'installed in' : 'nothing to do: they are as they should be in';
    const mails = config.mailTo ?? 'the crontab’s user (SCHEDULE_MAILTO is not configured)';
    const next = comingRuns(config, new Date());
    return {
      text: `${config.environment}’s lines ${said} the crontab; cron mails ${mails}\n\n${next.text}`,
      json: { changed, ...next.json },
    };
  },

  async remove(config: Config) {
    const changed = await removeBlock(config);
    const text = changed ? 'taken out of the crontab' : 'are not in the crontab: nothing to do';
    return { text: `${config.environment}’s lines ${text}`, json: { changed } };
  },

  async next(config: Config) {
    return comingRuns(config, new Date());
  },

  async run(config: Config): Promise<never> {
    const { environment, stateDir, logDir } = config;
    logTo(`${logDir}/schedule.log`);
    return withLock(stateDir, `${environment}.schedule`, 'schedule.ts run', async () => {
      sayWhoIsTold(config);
      // Of this process's start, so that what became due while it started is run, as the table says.
      const since = new Date(Date.now() - process.uptime() * 1000);
      log.info(`the schedule of ${environment} runs\n${comingRuns(config, since).text}`);
      return runSchedule(jobsOf(config).jobs, readState(config), since, {
        now: () => new Date(),
        sleep,
        // In bash's place: bash would end at once when the group gets a signal, and the script later.
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

function isAction(name: string | undefined): name is keyof typeof ACTIONS {
  return name !== undefined && Object.hasOwn(ACTIONS, name);
}

if (import.meta.main) await execute(schedule);
