/** What restore.ts asks on a terminal, and what may be answered. */
import * as assert from 'uvu/assert';
import { lockIsFree, otherDatabases, strayFiles, untilNoProcess } from '../backup/faults.ts';
import { startOnTerminal } from '../core/terminal.ts';
import type { World } from '../core/world.ts';

export const [ENTER, CTRL_C, CTRL_D, ESCAPE] = ['\r', '\u0003', '\u0004', '\u001b'];
export const PROMPT = /→ database app of production[\s\S]*Type .*app.* to go on: /;

export async function assertUntouched(world: World): Promise<void> {
  await untilNoProcess(world);
  assert.ok(lockIsFree(world));
  assert.equal(strayFiles(world), []);
  assert.equal(await otherDatabases(world), []);
}

/** Answers the restore's question with these keys, and asserts that nothing is changed. */
export async function assertAnswer(
  world: World,
  keys: string,
  { code, says, colours = true }: { code: number; says: RegExp; colours?: boolean },
): Promise<void> {
  const terminal = startOnTerminal(world, 'restore', ['latest'], colours ? {} : { NO_COLOR: '1' });
  await terminal.shows(PROMPT);
  terminal.type(keys);
  assert.is(await terminal.ended, code, terminal.shown());
  assert.match(terminal.shown(), says);
  assert.not.match(terminal.shown(), /things change/);
  assert.is(/\[\d+m/.test(terminal.shown()), colours, 'colours, unless they are not wanted');
  await assertUntouched(world);
}
