import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { gateAt, lockIsFree, otherDatabases, strayFiles, untilNoProcess } from '../support/backup/faults.ts';
import { backUpHere } from '../support/core/here.ts';
import { startOnTerminal } from '../support/core/terminal.ts';
import { createWorld } from '../support/core/world.ts';
import { writeDump } from '../support/restore/plain-dumps.ts';

const world = await createWorld();
await world.sql('CREATE TABLE t AS SELECT i, md5(i::text) AS text FROM generate_series(1, 20000) AS i');
world.env.S3_BUCKET = ''; // what is off-site is no part of this
const first = await backUpHere(world);
assert.is(first.code, 0, first.stderr);

const [ENTER, CTRL_C, CTRL_D, ESCAPE] = ['\r', '\u0003', '\u0004', '\u001b'];
const PROMPT = /→ database app of production[\s\S]*Type .*app.* to go on: /;

async function assertUntouched(): Promise<void> {
  await untilNoProcess(world);
  assert.ok(lockIsFree(world));
  assert.equal(strayFiles(world), []);
  assert.equal(await otherDatabases(world), []);
}

test('a live line with an estimate, in colour', async () => {
  const gate = gateAt(world, { program: 'gzip', args: '^-5', input: 500_000 });
  const terminal = startOnTerminal(world, 'backup', [], gate.env);
  await terminal.shows(/Dumping .* of ~.* %/);
  gate.open();
  assert.is(await terminal.ended, 0, terminal.shown());
  assert.ok(terminal.shown().includes(`${ESCAPE}[32m✓`));
});

for (const [what, keys, code, message, env] of [
  ['another name, without colour', `ap${ENTER}`, 2, /not confirmed; nothing was changed/, { NO_COLOR: '1' }],
  ['Ctrl+D', CTRL_D, 2, /not confirmed; nothing was changed/, {}],
  ['Ctrl+C', CTRL_C, 130, /interrupted by SIGINT/, {}],
] as const) {
  test(`the restore's question, answered with ${what}: exit ${code}`, async () => {
    const terminal = startOnTerminal(world, 'restore', ['latest'], env);
    await terminal.shows(PROMPT);
    terminal.type(keys);
    assert.is(await terminal.ended, code, terminal.shown());
    assert.match(terminal.shown(), message);
    assert.not.match(terminal.shown(), /things change/);
    assert.is(/\[\d+m/.test(terminal.shown()), !('NO_COLOR' in env), 'colours, unless they are not wanted');
    await assertUntouched();
  });
}

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
  await assertUntouched();
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
  await assertUntouched();
});

test('Ctrl+C in the middle of a dump', async () => {
  const gate = gateAt(world, { program: 'gzip', args: '^-5', input: 500_000 });
  const terminal = startOnTerminal(world, 'backup', [], gate.env);
  await gate.reached();
  terminal.type(CTRL_C);
  assert.is(await terminal.ended, 130, terminal.shown());
  await assertUntouched();
});

test('a terminal that is lost in the middle of a dump ends it as SIGTERM does', async () => {
  const gate = gateAt(world, { program: 'gzip', args: '^-5', input: 500_000 });
  const terminal = startOnTerminal(world, 'backup', [], gate.env);
  await gate.reached();
  process.kill(terminal.pid, 'SIGKILL');
  await assertUntouched();
});

test('the servers stop', world.stop);

test.run();
