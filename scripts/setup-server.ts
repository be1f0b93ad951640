#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { hostname } from 'node:os';
import { command, execute } from './lib/cli/command.ts';
import { confirm, requireTerminal } from './lib/cli/confirm.ts';
import { Exit, textOf, usageError } from './lib/core/errors.ts';
import { plural } from './lib/core/format.ts';
import { withLock } from './lib/core/lock.ts';
import { logTo } from './lib/core/log.ts';
import { allSteps, chooseSteps } from './lib/server/all-steps.ts';
import { describe, isRight, lookAt, mendAll } from './lib/server/run-steps.ts';
import type { Outcome } from './lib/server/step.ts';

const LOG = '/var/log/setup-server/setup-server.log';

export const setupServer = command({
  summary: 'Set up a server of Debian or Ubuntu, as root: system settings, the deploy user, the schedule.',
  usage: ['[--check] [--only STEP[,STEP]] [--yes] [--env production|staging] [--json]'],
  details:
    'Each step looks first, changes only what differs, prints what it found and what it did, and looks again. A ' +
    'second run changes nothing. The files that a server gets are in server/, at their paths.',
  options: {
    check: { type: 'boolean', help: 'only report the differences, and exit with 1 if there are any' },
    only: { type: 'string', value: 'STEP[,STEP]', help: 'only these steps, in their own order' },
    yes: { type: 'boolean', help: 'do not ask for the server’s name' },
  },
  examples: [
    ['setup-server.ts --check', 'what differs?'],
    ['setup-server.ts', 'set up all of it'],
    ['setup-server.ts --only sysctl,limits --yes', 'two steps, without a question'],
  ],
  exitCodes: [
    [Exit.done, 'done; --check: no difference'],
    [Exit.failed, 'a step failed, or left a difference; --check: a difference'],
    [Exit.usage, 'wrong flags or configuration, not root, or not confirmed; nothing was started'],
    [Exit.locked, 'another run of this environment holds the lock'],
  ],
  changesState: (_, { check }) => check !== true,
  async run({ options: { check, only, yes }, config: load }) {
    const config = load();
    process.env.PATH += ':/usr/local/sbin:/usr/sbin:/sbin'; // su leaves them out
    const steps = chooseSteps(allSteps(config), only);
    if (process.getuid?.() !== 0)
      throw usageError('only root can look at and set up a server', 'run it with sudo in front.');
    if (check) {
      const outcomes = await lookAt(steps);
      return report(outcomes, outcomes.map(describe).join('\n'));
    }
    requireTerminal(yes);
    await confirm(`This sets up the server ${hostname()}.`, hostname(), yes);
    logTo(LOG);
    return withLock(config.stateDir, config.environment, 'setup-server.ts', async () =>
      report(await mendAll(steps)),
    );
  },
});

function report(outcomes: Outcome[], text?: string) {
  const wrong = outcomes.filter(outcome => !isRight(outcome));
  const changed = outcomes.filter(({ done }) => done.length > 0);
  const summary =
    wrong.length > 0
      ? `${plural(wrong.length, 'step')} of ${outcomes.length} differ: ${wrong.map(({ step }) => step).join(', ')}`
      : `${plural(outcomes.length, 'step')}: ${changed.length === 0 ? 'nothing differs' : `${changed.length} changed`}`;
  const steps = outcomes.map(({ error, ...outcome }) => ({ ...outcome, error: error && textOf(error) }));
  return {
    text: [text, summary].filter(Boolean).join('\n'),
    json: { ok: wrong.length === 0, steps },
    exitCode: wrong.length === 0 ? Exit.done : Exit.failed,
  };
}

if (import.meta.main) await execute(setupServer);
