#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { command, execute } from './lib/cli/command.ts';
import { Exit, exitCodeOf, messageOf } from './lib/core/errors.ts';
import { withLock } from './lib/core/lock.ts';
import { log, logTo } from './lib/core/log.ts';
import { embeddedDrill } from './lib/drill/embedded.ts';
import { conclude } from './lib/drill/report.ts';
import { runDrill } from './lib/drill/run-drill.ts';
import { writeReport } from './lib/drill/write-report.ts';
import { notify } from './lib/notify/notify.ts';
import { drillLock } from './lib/restore/leftovers.ts';

export const drill = command({
  summary: 'Prove that the newest off-site backup restores, and measure how long that takes.',
  usage: ['[--env production|staging] [--json]', '--embedded [--json]'],
  details:
    'Restores into a scratch database on the live server, compares every table’s rows, and drops it. The live\n' +
    'database is unchanged. Writes state/drills/<time>.json and a row of state/drills/report.md.',
  options: {
    embedded: { type: 'boolean', help: 'use temporary servers and sample data; needs no configuration' },
  },
  examples: [
    ['drill.ts', 'the newest backup of production in S3'],
    ['npm run drill', 'the whole cycle on an empty machine: back up, destroy, restore, compare'],
  ],
  exitCodes: [
    [Exit.done, 'restored and compared, within the objectives'],
    [Exit.failed, 'the drill could not run'],
    [Exit.usage, 'wrong flags or configuration'],
    [Exit.verification, 'no backup, a damaged backup, or RTO_OBJECTIVE or RPO_OBJECTIVE missed'],
    [Exit.offsite, 'S3 can’t be read'],
    [Exit.locked, 'another drill is running'],
  ],
  changesState: true,
  async run({ options, config: load }) {
    if (options.embedded) return conclude(await embeddedDrill());
    const config = load();
    logTo(`${config.logDir}/drill.log`);
    return withLock(config.stateDir, drillLock(config), 'drill.ts', async () => {
      try {
        const report = await runDrill(config);
        log.done(`wrote ${await writeReport(config, report)}`);
        const result = conclude(report);
        await notify(config, `drill of ${report.backup}: ${result.verdict}`, result.exitCode);
        return result;
      } catch (error) {
        await notify(config, `drill FAILED: ${messageOf(error)}`, exitCodeOf(error));
        throw error;
      }
    });
  },
});

if (import.meta.main) await execute(drill);
