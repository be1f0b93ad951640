import { hasProgram, sh } from '../core/shell.ts';
import { fileDifferences, installFiles } from './installed-files.ts';
import { installMissing, packageDifferences } from './packages.ts';
import type { StepOf } from './step.ts';
import { startUnits, unitDifferences } from './units.ts';

/** The second lets it read the journal, the third bans. */
const PACKAGES = ['fail2ban', 'python3-systemd', 'nftables'];
const FILES = [
  'etc/fail2ban/jail.d/server.local',
  'etc/fail2ban/filter.d/nginx-json.conf',
  'etc/fail2ban/filter.d/nginx-auth.conf',
  'etc/fail2ban/filter.d/nginx-limit.conf',
  'etc/systemd/system/nginx-refused@.service',
  'usr/local/sbin/nginx-refused',
];
const JAILS = ['nginx-auth', 'nginx-limit', 'sshd'];
const UNIT = 'fail2ban.service';

/** Bans of addresses that try out passwords, or go on when Nginx refuses them. */
export const fail2ban: StepOf = ({ app, environment }) => {
  const units = [`nginx-refused@${app}-nginx-${environment}.service`, UNIT];
  return {
    name: 'fail2ban',
    gives:
      'Fail2ban for SSH and for what Nginx refuses; its bans hold for containers, and never for Cloudflare',
    async look() {
      const differences = [...(await packageDifferences(PACKAGES)), ...fileDifferences(FILES)];
      differences.push(...(await unitDifferences(units)));
      const jails = await activeJails();
      differences.push(
        ...JAILS.filter(name => !jails.includes(name)).map(name => `the jail ${name} is not active`),
      );
      return { found: jails.length > 0 ? `jails: ${jails.join(', ')}` : 'no jails', differences };
    },
    async mend() {
      // Before the package: on a Debian without rsyslog its own settings find no log, and it does not start.
      const done = await installFiles(FILES);
      done.push(...(await installMissing(PACKAGES)));
      await sh('check the settings of Fail2ban')`fail2ban-client --test`;
      await sh('let systemd read the units')`systemctl daemon-reload`;
      if (done.length > 0) {
        await sh('let the units read their settings', { timeout: 120 })`systemctl try-restart ${units}`;
        done.push('restarted Fail2ban, which keeps its bans');
      }
      done.push(...(await startUnits(units)));
      const jails = await activeJails();
      for (const name of JAILS.filter(each => !jails.includes(each))) {
        await sh(`start the jail ${name}`)`fail2ban-client reload ${name}`;
        done.push(`started the jail ${name}`);
      }
      return done;
    },
  };
};

async function activeJails(): Promise<string[]> {
  if (!hasProgram('fail2ban-client')) return [];
  const text = await sh('list the jails')`fail2ban-client status 2>/dev/null || true`;
  return /Jail list:\s*(.*)$/m.exec(text)?.[1]?.split(/,\s*/).filter(Boolean) ?? [];
}
