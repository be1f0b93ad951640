import { sh } from '../core/shell.ts';
import { fileDifferences, installFiles } from './installed-files.ts';
import type { StepOf } from './step.ts';

const FILES = ['etc/security/limits.d/60-server.conf', 'etc/systemd/system.conf.d/60-server.conf'];
/** As the files say. */
const OPEN_FILES = 32_768;

/** How many files a process may open. */
export const limits: StepOf = () => ({
  name: 'limits',
  gives: `${OPEN_FILES} open files for each login and service`,
  async look() {
    const property = '--property=DefaultLimitNOFILESoft';
    const now = await sh('read the limit of services')`systemctl show ${property} --value`;
    return {
      found: `${now} open files for a service`,
      differences: [
        ...fileDifferences(FILES),
        ...(now === String(OPEN_FILES)
          ? []
          : [`a service can open ${now} files when it starts, not ${OPEN_FILES}`]),
      ],
    };
  },
  async mend() {
    const done = await installFiles(FILES);
    await sh('let systemd read its settings')`systemctl daemon-reexec`;
    return [...done, 'let systemd read its settings; a service gets the limit when it starts next'];
  },
});
