/** The health check of a running stack, and faults in the stack. The script runs from the stack's own checkout. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import * as assert from 'uvu/assert';
import { type Ended, startProgram, until } from '../../support/core/world.ts';
import { type Report, reportOf, turned } from '../../support/health/health.ts';
import type { Stack } from './stack.ts';

type Env = Record<string, string>;
type Act = () => Promise<unknown> | unknown;

/** Lines about this machine, which is busy with more than this stack. */
export const MACHINE = ['disk', 'memory', 'clock'];

export interface Health {
  /** The certificates that clients trust: the stack's own. */
  authority: string;
  /** The report before any fault. */
  well: Report;
  script: (name: string, args?: string[], extra?: Env) => Promise<Ended>;
  /** Looks until exactly these lines have turned: Nginx and the instances take seconds to see what is gone. */
  untilTurned: (expected: Env, extra?: Env) => Promise<Report>;
  /** Breaks something, repairs it whatever happens, and waits until all is well again. */
  withFault: (breakIt: Act, repair: Act, body: () => Promise<void>) => Promise<void>;
  /** Stops a service as an operator does, and starts it again as the runbook does. */
  whileStopped: (service: string, body: () => Promise<void>) => Promise<void>;
}

/**
 * @param backup makes a backup first, without which two lines are critical
 * @param variables beside those of the stack, such as those of a store
 */
export async function healthOf(
  stack: Stack,
  { backup = false, env: variables = {} }: { backup?: boolean; env?: Env } = {},
): Promise<Health> {
  // Not the stack's own directories: the next test finds in them what it found before.
  const directory = mkdtempSync(join(tmpdir(), 'health-check-'));
  process.once('exit', () => rmSync(directory, { recursive: true }));
  const authority = join(directory, 'authority.pem');
  writeFileSync(authority, stack.ca);
  // The file's quotes are Compose's; a shell's are not needed here.
  const env = {
    ...(stack.engine.env as Env),
    ...stack.variables,
    ...variables,
    NODE_EXTRA_CA_CERTS: authority,
    BACKUP_DIR: join(directory, 'backups'),
    LOG_DIR: join(directory, 'logs'),
    STATE_DIR: join(directory, 'state'),
  };
  const script = (name: string, args: string[] = [], extra: Env = {}) =>
    startProgram(join(stack.directory, `scripts/${name}.ts`), args, { ...env, ...extra }).ended;
  const look = async (extra: Env = {}) => reportOf(await script('health-check', ['--json'], extra));
  if (backup) {
    const { code, stderr } = await script('backup');
    assert.is(code, 0, stderr);
  }
  const well = await look();

  async function untilTurned(expected: Env, extra: Env = {}): Promise<Report> {
    const seen = new Set<string>();
    let now = well;
    await until(
      'the lines turn',
      async () => {
        if (seen.size > 0) await sleep(500); // each look is a process, and looks at all of it
        now = await look(extra);
        const actual = turned(well, now);
        for (const name of MACHINE) delete actual[name];
        seen.add(JSON.stringify(actual));
        return isDeepStrictEqual(actual, expected);
      },
      120,
    ).catch(error => {
      throw new Error(
        `${(error as Error).message}: not ${JSON.stringify(expected)}, but ${[...seen].join(', ')}`,
      );
    });
    return now;
  }

  async function withFault(breakIt: Act, repair: Act, body: () => Promise<void>): Promise<void> {
    try {
      await breakIt();
      await body();
    } finally {
      await repair();
      await untilTurned({});
    }
  }

  return {
    authority,
    well,
    script,
    untilTurned,
    withFault,
    whileStopped: (service, body) =>
      withFault(
        () => stack.docker('stop', stack.container(service)),
        () => stack.compose('up', '--detach', '--no-recreate', '--wait', service),
        body,
      ),
  };
}
