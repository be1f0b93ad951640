import { sh } from '../core/shell.ts';
import { fileDifferences, installFiles } from './installed-files.ts';
import { installMissing, packageDifferences } from './packages.ts';
import type { StepOf } from './step.ts';
import { startUnits, unitDifferences } from './units.ts';

const FILE = 'etc/systemd/journald.conf.d/60-server.conf';
const PACKAGES = ['logrotate'];
const UNITS = ['logrotate.timer'];

/**
 * Logs that end somewhere: the journal by its limit, the files of programs of the distribution by logrotate. The scripts
 * rotate their own, and Docker those of containers.
 */
export const logs: StepOf = () => ({
  name: 'logs',
  gives: 'a journal of at most 1 GB, and logrotate',
  async look() {
    const differences = [
      ...(await packageDifferences(PACKAGES)),
      ...fileDifferences([FILE]),
      ...(await unitDifferences(UNITS)),
    ];
    return { found: differences.length === 0 ? 'logs have limits' : 'logs without a limit', differences };
  },
  async mend() {
    const done = await installMissing(PACKAGES);
    const written = await installFiles([FILE]);
    if (written.length > 0)
      await sh('let the journal read its settings')`systemctl restart systemd-journald.service`;
    return [...done, ...written, ...(await startUnits(UNITS))];
  },
});
