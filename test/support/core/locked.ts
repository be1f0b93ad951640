/** Runs that hold the lock of their environment, and others that come meanwhile. */
import * as assert from 'uvu/assert';
import { type Gate, gateAt } from '../backup/faults.ts';
import type { Started, World } from './world.ts';

export const duringDump = (world: World) => gateAt(world, { program: 'gzip', args: '^-5' });
export const duringLoad = (world: World) => gateAt(world, { program: 'psql', args: '--output=/dev/null' });

/** Starts a script that stands still in the middle, runs `meanwhile`, and lets it go on to its end. */
export async function during(
  world: World,
  gate: Gate,
  [name, args]: [string, string[]],
  meanwhile: (holder: Started) => Promise<void>,
): Promise<void> {
  const holder = world.start(name, args, gate.env);
  try {
    await gate.reached();
    await meanwhile(holder);
    gate.open();
    const { code, stderr } = await holder.ended;
    assert.is(code, 0, stderr);
  } finally {
    gate.open();
    holder.child.kill('SIGKILL');
  }
}

/** The second of two runs: 75, who holds the lock since when and for what, and nothing done. */
export async function assertLockedOut(
  world: World,
  script: string,
  args: string[],
  holder: string,
  pid: number,
): Promise<void> {
  const { code, stderr, stdout } = await world.run(script, [...args, '--json']);
  assert.is(code, 75, stderr);
  const message = new RegExp(
    `another run holds .*/production\\.lock: ${holder}, by \\S+ on \\S+, process ${pid}, since \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d UTC \\(.+\\)`,
  );
  assert.match(stderr, message);
  assert.match(stderr, /→ wait until it is over/);
  const { error } = JSON.parse(stdout);
  assert.is(error.exitCode, 75);
  assert.match(error.message, message);
  assert.not.match(stderr, /things change|did not finish/);
}
