import type { Config } from '../../config/config.ts';
import { plural } from '../../core/format.ts';
import { findOldLines, type OldLine } from '../../core/old-cron.ts';
import { forgottenData } from '../../docker/old-stack.ts';
import { type Check, type Remark, summarize } from '../check.ts';
import { COMMAND_SECONDS } from '../docker.ts';

/** What is left of the scripts and Compose files that this repository replaces, and does harm: docs/SWITCH.md. */
export const oldInstallation = (config: Config): Check => ({
  name: 'old-installation',
  timeout: 2 * COMMAND_SECONDS + 1, // Docker, then PostgreSQL
  run: async () => {
    // A Docker that does not answer has a line of its own.
    const [lines, forgotten] = await Promise.all([
      findOldLines(),
      forgottenData(config, COMMAND_SECONDS).catch(() => undefined),
    ]);
    const remarks: Remark[] = [
      ...(lines.length > 0 ? [['warning', describe(lines)] as Remark] : []),
      ...(forgotten ? [['critical', forgotten] as Remark] : []),
      ['ok', 'no cron line runs the old scripts, and no old database was left behind'],
    ];
    const finding = summarize(remarks);
    return finding.status === 'ok' ? finding : { ...finding, hint: 'do the steps of docs/SWITCH.md.' };
  },
});

function describe(lines: OldLine[]): string {
  const list = lines.map(({ place, line }) => `${place}: ${line}`).join('; ');
  return `${plural(lines.length, 'cron line')} of the old scripts, which delete new backups: ${list}`;
}
