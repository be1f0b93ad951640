import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OperationalError } from '../core/errors.ts';
import { hasProgram, sh } from '../core/shell.ts';
import { fileDifferences, installFiles, SOURCE } from './installed-files.ts';
import { installMissing, packageDifferences } from './packages.ts';
import { sshPorts } from './sshd.ts';
import type { StepOf } from './step.ts';
import { concerns, parseRules, parseStatus } from './ufw.ts';
import { startUnits, state, unitDifferences } from './units.ts';

const PACKAGES = ['ufw', 'iptables'];
const RULES = 'etc/docker-firewall.rules';
const UNIT = 'docker-firewall.service';
const FILES = [RULES, `etc/systemd/system/${UNIT}`];
const WEB = [80, 443];
const UNITS = ['ufw.service', UNIT];

/** What can be reached from outside: SSH and Nginx. */
export const firewall: StepOf = () => ({
  name: 'firewall',
  gives: 'UFW, which lets in SSH, 80 and 443; ports that Docker publishes are behind it',
  async look() {
    const differences = [...(await packageDifferences(PACKAGES)), ...fileDifferences(FILES)];
    if (!hasProgram('ufw')) return { found: 'no firewall', differences };
    const { active, incoming } = await status();
    const ports = await sshPorts();
    const wanted = [...ports, ...WEB];
    const rules = await added();
    for (const port of wanted) {
      const own = rules.filter(rule => concerns(rule, port));
      const open = own.filter(({ action }) => action === 'allow' || action === 'limit');
      // An operator who lets in some addresses only has a session already where UFW is active.
      if (!open.some(rule => active || concerns(rule, port) === 'all'))
        differences.push(`UFW does not allow ${port}/tcp`);
    }
    if (!active) differences.push('UFW is not active');
    else if (incoming !== 'deny' && incoming !== 'reject')
      differences.push(`UFW lets in what no rule is about (${incoming})`);
    differences.push(...(await unitDifferences(UNITS)), ...(await chainDifferences()));
    const more = rules.filter(rule => rule.action === 'allow' && !wanted.some(port => concerns(rule, port)));
    const others = more.length > 0 ? `; more rules: ${more.map(({ what }) => what).join('; ')}` : '';
    return { found: `UFW, SSH on ${ports.join(' and ') || 'no port'}${others}`, differences };
  },
  async mend() {
    await refuseOther();
    const done = [...(await installMissing(PACKAGES)), ...(await installFiles(FILES))];
    const ports = await sshPorts();
    // Before UFW is active, and before what no rule is about is refused: this session must stay.
    for (const port of [...ports, ...WEB]) {
      const rules = (await added()).filter(rule => concerns(rule, port));
      if (rules.some(({ action }) => action === 'deny' || action === 'reject'))
        throw new OperationalError(
          `a rule of UFW refuses ${port}/tcp`,
          'see it with `ufw status numbered`, and delete it: ufw delete NUMBER.',
        );
      const { active } = await status();
      if (rules.some(rule => active || concerns(rule, port) === 'all')) continue;
      await sh(`allow ${port}/tcp`)`ufw allow ${`${port}/tcp`}`;
      done.push(`allowed ${port}/tcp`);
    }
    const { active, incoming } = await status();
    if (!active || (incoming !== 'deny' && incoming !== 'reject')) {
      await sh('refuse what no rule is about')`ufw default deny incoming`;
      await sh('allow what this server asks for')`ufw default allow outgoing`;
      done.push('refused what no rule is about');
    }
    if (!active) {
      await sh('start UFW')`ufw --force enable`;
      done.push('started UFW');
    }
    await sh('let systemd read the unit')`systemctl daemon-reload`;
    done.push(...(await startUnits(UNITS)));
    if ((await chainDifferences()).length > 0) {
      await sh('fill the chain DOCKER-USER')`systemctl reload ${UNIT}`;
      done.push('filled the chain DOCKER-USER');
    }
    return done;
  },
});

const status = async () =>
  parseStatus(await sh('ask UFW for its state', { env: { LC_ALL: 'C' } })`ufw status verbose`);
const added = async () =>
  parseRules(await sh('ask UFW for its rules', { env: { LC_ALL: 'C' } })`ufw show added`);

/** @returns whether the rules that the kernel has begin with ours. Docker adds one at the end, which nothing reaches. */
async function chainDifferences(): Promise<string[]> {
  const wanted = readFileSync(join(SOURCE, RULES), 'utf8').match(/^-A .*$/gm) ?? [];
  const programs = ['iptables', ...(existsSync('/proc/net/if_inet6') ? ['ip6tables'] : [])];
  const all = programs.map(async program => {
    const text = await sh('read the chain DOCKER-USER')`${program} -S DOCKER-USER 2>/dev/null || true`;
    const rules = text.split('\n').filter(line => line.startsWith('-A '));
    if (rules.length === 0)
      return [`the chain DOCKER-USER of ${program} is empty: every port that Docker publishes is open`];
    return wanted.every((rule, index) => rules[index] === rule)
      ? []
      : [`the chain DOCKER-USER of ${program} has other rules than /${RULES}`];
  });
  return (await Promise.all(all)).flat();
}

/** @throws OperationalError where another firewall works: two of them undo each other's rules */
async function refuseOther(): Promise<void> {
  for (const other of [
    'firewalld.service',
    'nftables.service',
    'shorewall.service',
    'netfilter-persistent.service',
  ])
    if ((await state('is-active', other)) === 'active')
      throw new OperationalError(
        `${other} is active: another firewall than UFW`,
        `stop it if its rules are not needed: systemctl disable --now ${other}`,
      );
}
