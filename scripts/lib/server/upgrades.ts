import { globSync, readFileSync } from 'node:fs';
import { sh } from '../core/shell.ts';
import { fileDifferences, installFiles } from './installed-files.ts';
import { installMissing, packageDifferences } from './packages.ts';
import type { StepOf } from './step.ts';
import { startUnits, unitDifferences } from './units.ts';

const FILE = 'etc/apt/apt.conf.d/99-server-upgrades';
const PACKAGES = ['unattended-upgrades'];
const UNITS = ['apt-daily.timer', 'apt-daily-upgrade.timer'];
/** What apt must read in the end, whatever other files say. */
const SETTINGS = ['APT::Periodic::Update-Package-Lists', 'APT::Periodic::Unattended-Upgrade'];

/** Security updates each day. */
export const upgrades: StepOf = () => ({
  name: 'upgrades',
  gives: 'security updates each day, without a restart of the server',
  async look() {
    const settings = await sh('read the settings of apt')`apt-config dump`;
    const off = SETTINGS.filter(name => !settings.includes(`${name} "1";`));
    return {
      found: off.length === 0 ? 'security updates each day' : 'no security updates by themselves',
      differences: [
        ...(await packageDifferences(PACKAGES)),
        ...fileDifferences([FILE]),
        ...off.map(name => `apt does not have ${name} "1"${overriddenBy(name)}`),
        ...(await unitDifferences(UNITS)),
      ],
    };
  },
  async mend() {
    return [
      ...(await installMissing(PACKAGES)),
      ...(await installFiles([FILE])),
      ...(await startUnits(UNITS)),
    ];
  },
});

/** @returns the file after ours that has another value: it is an operator's, and stays */
function overriddenBy(name: string): string {
  const later = globSync('/etc/apt/apt.conf.d/*').filter(path => path > `/${FILE}`);
  const file = later.find(path => readFileSync(path, 'utf8').includes(name));
  return file ? `: delete it from ${file}, which apt reads after our file` : '';
}
