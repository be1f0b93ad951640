import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { OperationalError } from '../core/errors.ts';
import { writeWhole } from '../core/files.ts';
import { sh } from '../core/shell.ts';
import { administratorsWithKey } from './administrators.ts';
import { fileDifferences, installFiles, SOURCE } from './installed-files.ts';
import { hasSshd, parseSettings, sshdSettings } from './sshd.ts';
import type { StepOf } from './step.ts';

const FILE = 'etc/ssh/sshd_config.d/10-server.conf';

/** SSH with keys only, once it is proven that somebody who may become root has one. Sessions that are open stay. */
export const ssh: StepOf = () => ({
  name: 'ssh',
  gives: 'SSH with keys only, if an administrator has a key',
  async look() {
    if (!hasSshd()) return { found: 'no SSH server', differences: [] };
    const settings = await sshdSettings();
    const wanted = parseSettings(readFileSync(join(SOURCE, FILE), 'utf8'));
    const files = fileDifferences([FILE]);
    const why =
      files.length > 0
        ? ''
        : `: another file is read before /${FILE}, or /etc/ssh/sshd_config has no Include of it`;
    const differences = [...wanted].flatMap(([name, [value]]) => {
      const is = settings.get(name)?.[0];
      return is === value ? [] : [`sshd has ${name} ${is}, not ${value}${why}`];
    });
    const passwords = settings.get('passwordauthentication')?.[0] === 'yes';
    return {
      found: passwords ? 'SSH with passwords' : 'SSH with keys only',
      differences: [...files, ...differences],
    };
  },
  async mend() {
    await refuseLockOut();
    const path = `/${FILE}`;
    const before = existsSync(path) ? readFileSync(path) : undefined;
    const done = await installFiles([FILE]);
    try {
      await sh('check the settings of sshd')`sshd -t`;
      await sh('let sshd read its settings')`systemctl try-reload-or-restart ssh.service`;
    } catch (error) {
      if (before) await writeWhole(path, before, 0o644);
      else await rm(path, { force: true });
      throw error;
    }
    return [...done, 'let sshd read its settings; open sessions stay'];
  },
});

/** @throws OperationalError where nobody who may become root could log in without a password */
async function refuseLockOut(): Promise<void> {
  const methods = (await sshdSettings()).get('authenticationmethods')?.[0] ?? 'any';
  if (methods !== 'any' && methods !== 'publickey')
    throw new OperationalError(
      `sshd asks for more than a key (AuthenticationMethods ${methods}); without passwords it might let nobody in`,
      'set it to publickey, or leave SSH as it is and run the other steps with --only.',
    );
  if ((await administratorsWithKey()).length === 0)
    throw new OperationalError(
      'no administrator has an SSH key here: without passwords nobody could log in',
      'from your own machine: ssh-copy-id USER@SERVER, for root or a user who may use sudo; then run it again.',
    );
}
