import { sh } from '../core/shell.ts';
import { isContainer } from './container.ts';
import { installMissing, packageDifferences } from './packages.ts';
import type { StepOf } from './step.ts';
import { startUnits, state, unitDifferences } from './units.ts';

/** Others that do the same, by the units of Debian and Ubuntu. */
const OTHERS = ['chrony.service', 'ntpsec.service', 'ntp.service', 'openntpd.service'];
const PACKAGE = 'systemd-timesyncd';
const UNIT = 'systemd-timesyncd.service';

/** The clock, which certificates, tokens and the ages of backups need. */
export const time: StepOf = () => ({
  name: 'time',
  gives: 'a clock that is set over the network',
  async look() {
    if (await isContainer()) return { found: 'a container, whose host sets the clock', differences: [] };
    for (const other of OTHERS)
      if ((await state('is-active', other)) === 'active')
        return { found: `${other} sets the clock`, differences: await unitDifferences([other]) };
    const isSet = await sh('ask for the clock')`timedatectl show --property=NTPSynchronized --value`;
    return {
      found: isSet === 'yes' ? 'the clock is synchronised' : 'the clock is not synchronised yet',
      differences: [...(await packageDifferences([PACKAGE])), ...(await unitDifferences([UNIT]))],
    };
  },
  async mend() {
    return [...(await installMissing([PACKAGE])), ...(await startUnits([UNIT]))];
  },
});
