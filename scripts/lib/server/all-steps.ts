import type { Config } from '../config/config.ts';
import { usageError } from '../core/errors.ts';
import { deployUser } from './deploy-user.ts';
import { directories } from './directories.ts';
import { docker } from './docker.ts';
import { fail2ban } from './fail2ban.ts';
import { firewall } from './firewall.ts';
import { limits } from './limits.ts';
import { logs } from './logs.ts';
import { nodeModules } from './node-modules.ts';
import { schedule } from './schedule.ts';
import { ssh } from './ssh.ts';
import type { Step, StepOf } from './step.ts';
import { swap } from './swap.ts';
import { sysctl } from './sysctl.ts';
import { time } from './time.ts';
import { upgrades } from './upgrades.ts';

/** In the order in which they depend on each other. */
const STEPS: StepOf[] = [
  sysctl,
  limits,
  swap,
  time,
  upgrades,
  logs,
  ssh,
  firewall,
  fail2ban,
  docker,
  deployUser,
  directories,
  nodeModules,
  schedule,
];

/** @returns all steps, in their order */
export const allSteps = (config: Config): Step[] => STEPS.map(step => step(config));

/**
 * @param only names, separated by commas; undefined: all
 * @throws a usage error for a name that is none
 */
export function chooseSteps(steps: Step[], only: string | undefined): Step[] {
  if (only === undefined) return steps;
  const names = only.split(',');
  const unknown = names.filter(name => !steps.some(step => step.name === name));
  if (unknown.length > 0)
    throw usageError(
      `no step is called ${unknown.map(name => JSON.stringify(name)).join(', ')}`,
      `the steps are ${steps.map(({ name }) => name).join(', ')}.`,
    );
  return steps.filter(({ name }) => names.includes(name));
}
