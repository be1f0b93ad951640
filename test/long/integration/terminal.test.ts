import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { backUpHere } from '../../support/core/here.ts';
import { startOnTerminal } from '../../support/core/terminal.ts';
import { createWorld } from '../../support/core/world.ts';
import { writeDump } from '../../support/restore/plain-dumps.ts';
import {
  assertAnswer,
  assertUntouched,
  CTRL_C,
  CTRL_D,
  ENTER,
  PROMPT,
} from '../../support/restore/prompts.ts';

const world = await createWorld();
await world.sql('CREATE TABLE t AS SELECT i, md5(i::text) AS text FROM generate_series(1, 20000) AS i');
world.env.S3_BUCKET = ''; // what is off-site is no part of this
const first = await backUpHere(world);
assert.is(first.code, 0, first.stderr);

for (const [what, keys, code, says] of [
  ['Ctrl+D', CTRL_D, 2, /not confirmed; nothing was changed/],
  ['Ctrl+C', CTRL_C, 130, /interrupted by SIGINT/],
] as const)
  test(`the restore's question, answered with ${what}: exit ${code}`, () =>
    assertAnswer(world, keys!, { code, says }));

test('the database’s name, typed, confirms', async () => {
  const terminal = startOnTerminal(world, 'restore', ['latest']);
  await terminal.shows(PROMPT);
  terminal.type(`app${ENTER}`);
  assert.is(await terminal.ended, 0, terminal.shown());
  assert.match(terminal.shown(), /restored neurmatic_production_/);
  const undo = startOnTerminal(world, 'restore', ['--undo']);
  await undo.shows(/Type .*app.* to go on: /);
  undo.type(`app${ENTER}`);
  assert.is(await undo.ended, 0, undo.shown());
  const finish = startOnTerminal(world, 'restore', ['--finish']);
  await finish.shows(/This permanently drops app_before_.*\.[\s\S]*Type .*app.* to go on: /);
  finish.type(`app${ENTER}`);
  assert.is(await finish.ended, 0, finish.shown());
  await assertUntouched(world);
});

test('an empty dump has a question of its own, before the swap', async () => {
  const empty = writeDump(world, 'empty.sql.gz', 'CREATE TABLE t ();');
  const terminal = startOnTerminal(world, 'restore', [empty]);
  await terminal.shows(PROMPT);
  terminal.type(`app${ENTER}`);
  await terminal.shows(
    /empty.sql.gz has 0 rows, and database app, which it replaces, has 20,000\.[\s\S]*Type .*app.* to go on: /,
  );
  terminal.type(`no${ENTER}`);
  assert.is(await terminal.ended, 2, terminal.shown());
  assert.match(terminal.shown(), /not confirmed/);
  await assertUntouched(world);
});

test('the servers stop', world.stop);

test.run();
