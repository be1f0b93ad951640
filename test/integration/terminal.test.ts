import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { gateAt } from '../support/backup/faults.ts';
import { backUpHere } from '../support/core/here.ts';
import { startOnTerminal } from '../support/core/terminal.ts';
import { createWorld } from '../support/core/world.ts';
import { assertAnswer, assertUntouched, CTRL_C, ENTER, ESCAPE } from '../support/restore/prompts.ts';

const world = await createWorld();
await world.sql('CREATE TABLE t AS SELECT i, md5(i::text) AS text FROM generate_series(1, 20000) AS i');
world.env.S3_BUCKET = ''; // what is off-site is no part of this
const first = await backUpHere(world);
assert.is(first.code, 0, first.stderr);

test('a live line with an estimate, in colour', async () => {
  const gate = gateAt(world, { program: 'gzip', args: '^-5', input: 500_000 });
  const terminal = startOnTerminal(world, 'backup', [], gate.env);
  await terminal.shows(/Dumping .* of ~.* %/);
  gate.open();
  assert.is(await terminal.ended, 0, terminal.shown());
  assert.ok(terminal.shown().includes(`${ESCAPE}[32m✓`));
});

test("the restore's question, answered with another name, without colour: exit 2", () =>
  assertAnswer(world, `ap${ENTER}`, { code: 2, says: /not confirmed; nothing was changed/, colours: false }));

/** After a restore, with its undo: test/long/integration/terminal.test.ts. */
test('the database’s name, typed, confirms', async () => {
  const kept = 'app_before_20260102_030405';
  await world.sql(`CREATE DATABASE ${kept} STRATEGY FILE_COPY`, 'postgres');
  const finish = startOnTerminal(world, 'restore', ['--finish']);
  await finish.shows(/This permanently drops app_before_.*\.[\s\S]*Type .*app.* to go on: /);
  finish.type(`app${ENTER}`);
  assert.is(await finish.ended, 0, finish.shown());
  await assertUntouched(world);
});

test('Ctrl+C in the middle of a dump', async () => {
  const gate = gateAt(world, { program: 'gzip', args: '^-5', input: 500_000 });
  const terminal = startOnTerminal(world, 'backup', [], gate.env);
  await gate.reached();
  terminal.type(CTRL_C);
  assert.is(await terminal.ended, 130, terminal.shown());
  await assertUntouched(world);
});

test('a terminal that is lost in the middle of a dump ends it as SIGTERM does', async () => {
  const gate = gateAt(world, { program: 'gzip', args: '^-5', input: 500_000 });
  const terminal = startOnTerminal(world, 'backup', [], gate.env);
  await gate.reached();
  process.kill(terminal.pid, 'SIGKILL');
  await assertUntouched(world);
});

test('the servers stop', world.stop);

test.run();
