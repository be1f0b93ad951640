/** What killed runs leave is removed by the next one that may, and shown by the health check. */
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { gateAt, untilNoProcess } from '../../support/backup/faults.ts';
import { makeBackup } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import type { World } from '../../support/core/world.ts';
import { databases } from '../../support/postgres/compare.ts';

const { inTurn, stop } = await createTurns();

const backedUp = async (world: World) => {
  await world.sql('CREATE TABLE t AS SELECT i FROM generate_series(1, 500) AS i');
  return makeBackup(world, { upload: true });
};

const hidden = (world: World) =>
  readdirSync(world.env.BACKUP_DIR!)
    .filter(name => name.startsWith('.'))
    .sort();

const midLoad = (world: World) => gateAt(world, { program: 'psql', args: '--output=/dev/null', input: 100 });

/** A directory, so many days old. */
function old(world: World, name: string, days: number): void {
  const path = join(world.env.BACKUP_DIR!, name);
  mkdirSync(path);
  writeFileSync(join(path, 'dump'), 'x');
  const time = new Date(Date.now() - days * 86_400_000);
  utimesSync(path, time, time);
}

async function kill(world: World, script: string, ...args: string[]): Promise<void> {
  const gate = midLoad(world);
  const running = world.start(script, args, gate.env);
  await gate.reached();
  running.child.kill('SIGKILL');
  await running.ended;
  await untilNoProcess(world);
}

test('kill -9 of a restore, a drill, a load check and a look: the next backup removes all of it', () =>
  inTurn(async world => {
    await backedUp(world);
    await kill(world, 'restore', 'latest', '--yes');
    await kill(world, 'drill');
    assert.equal(hidden(world), ['.drill-production', '.fetched-production']);
    assert.is((await databases(world)).length, 3);
    old(world, '.look-abcdef', 2);
    old(world, '.look-running', 0.5);
    const { code, stderr } = await world.run('backup', ['--no-upload']);
    assert.is(code, 0, stderr);
    for (const what of ['new', 'drill'])
      assert.match(stderr, new RegExp(`dropping database app_${what}_\\d+_\\d+, left by a run`));
    for (const what of ['drill-production', 'fetched-production', 'look-abcdef'])
      assert.match(stderr, new RegExp(`removing .*/\\.${what}, left by a run that did not finish`));
    assert.equal(hidden(world), ['.look-running']);
    assert.equal(await databases(world), ['app']);

    await kill(world, 'verify-backup', 'latest', '--load');
    assert.is((await databases(world)).length, 2);
    const next = await world.run('verify-backup', ['latest', '--load']);
    assert.is(next.code, 0, next.stderr);
    assert.equal(await databases(world), ['app'], 'the next of its kind, too');
  }));

test('what a running drill or load check uses is not touched by a backup or a restore', () =>
  inTurn(async world => {
    await backedUp(world);
    const gate = midLoad(world);
    const running = world.start('verify-backup', ['latest', '--from', 's3', '--load'], gate.env);
    await gate.reached();
    const before = await databases(world);
    const { code, stderr } = await world.run('backup', ['--no-upload']);
    assert.is(code, 0, stderr);
    const restored = await world.run('restore', ['latest', '--database', 'beside', '--yes']);
    assert.is(restored.code, 0, restored.stderr);
    assert.equal(await databases(world), [...before, 'beside'].sort());
    assert.equal(hidden(world), ['.drill-production']);
    gate.open();
    const ended = await running.ended;
    assert.is(ended.code, 0, ended.stderr);
    assert.equal(await databases(world), ['app', 'beside']);
  }));

test('the servers stop', stop);

test.run();
