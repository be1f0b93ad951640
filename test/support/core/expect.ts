import * as assert from 'uvu/assert';
import type { Ended, World } from './world.ts';

/** Runs a script that must exit with 0. @returns its JSON, and what it said */
// biome-ignore lint/suspicious/noExplicitAny: the tests look at single fields of many forms
export async function succeed(world: World, script: string, ...args: string[]): Promise<any> {
  const { code, stdout, stderr } = await world.run(script, [...args, '--json']);
  assert.is(code, 0, stderr);
  return { stderr, ...JSON.parse(stdout) };
}

/** Asserts an exit code and a message in two lines, what is wrong and what to do, that holds all of `messages`. */
export function failed({ code, stderr }: Ended, exitCode: number, ...messages: RegExp[]): void {
  assert.is(code, exitCode, stderr);
  for (const message of messages) assert.match(stderr, message);
  assert.match(stderr, /^ {2}→ ./m);
  assert.not.match(stderr, /this is a bug/);
}

/** A live database that says which of its states it is in. */
export async function begin(world: World, state = 'backed up'): Promise<void> {
  await world.sql(`CREATE TABLE state AS SELECT '${state}' AS name`);
}

export async function change(world: World, state: string): Promise<void> {
  await world.sql(`UPDATE state SET name = '${state}'`);
}

export async function stateOf(world: World, database?: string): Promise<string> {
  const rows = await world.rows<{ name: string }>('SELECT name FROM state', database);
  return rows.map(({ name }) => name).join();
}
