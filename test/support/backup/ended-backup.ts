/** Backups whose script is ended by a signal, and what they leave. */
import * as assert from 'uvu/assert';
import { captured } from '../core/here.ts';
import { makeBackup } from '../core/in-process.ts';
import { type FaultedWorld, manifests } from './faulted.ts';
import { type Gate, strayFiles } from './faults.ts';

type At = (world: FaultedWorld) => Gate;

/** A run of backup.ts, in the form `plain`. */
export const PLAIN: [string, string[]] = ['backup', ['--format', 'plain']];

/** Kills the script at the gate, and asserts that no process outlives it, and that the next run removes its files. */
export async function assertKilledAndRemoved(world: FaultedWorld, gate: At): Promise<void> {
  const before = manifests(world);
  const ended = await world.faultAt(gate(world), PLAIN, ({ child }) => child.kill('SIGKILL'));
  assert.is(ended.signal, 'SIGKILL');
  const left = strayFiles(world);
  assert.ok(left.length > 1, 'it was killed while it wrote');
  await world.assertClean({ files: left });
  assert.is(manifests(world), before);
  const next = await captured(() => makeBackup(world, { upload: false }));
  assert.is(next.code, 0, next.error);
  assert.match(next.stderr, /an earlier run did not finish neurmatic_production_\d+_\d+; removing its files/);
  await world.assertClean();
}

/** Sends the script a signal at the gate, and asserts its exit code, and that it leaves nothing. */
export async function assertInterrupted(
  world: FaultedWorld,
  gate: At,
  signal: NodeJS.Signals,
  code: number,
): Promise<void> {
  const before = manifests(world);
  const ended = await world.faultAt(gate(world), PLAIN, ({ child }) => child.kill(signal));
  assert.is(ended.code, code, ended.stderr);
  assert.match(ended.stderr, `interrupted by ${signal}`);
  await world.assertClean();
  assert.is(manifests(world), before);
}
