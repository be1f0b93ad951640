/** A dump is data: psql takes none of its own commands from it, wherever it comes from and whatever it says. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { begin } from '../support/core/expect.ts';
import { refused, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import { contentOf, databases, program } from '../support/postgres/compare.ts';
import { LOOKALIKES, writeDump } from '../support/restore/plain-dumps.ts';
import { assertNoCommands, CONNECT, load } from '../support/restore/psql-commands.ts';

const { inTurn, stop } = await createTurns();

/** One of each kind. */
const WAYS = [
  'a leading blank',
  'within a statement',
  'behind a value',
  'behind rows',
  'a program',
  'another file',
  'output into a file',
  'rows from a program',
  'a result as statements',
  'a variable from a program',
  'the end of the restriction, with another key',
  'the end of the restriction, with the key from a program',
  'a restriction of its own',
  'an end',
];

/** All: test/long/integration/psql-commands.test.ts. */
test('each way to give psql a command is refused, and none has an effect', () =>
  inTurn(world => assertNoCommands(world, what => WAYS.includes(what))));

for (const [form, ...options] of [['rows as COPY'], ['rows as INSERT', '--inserts']] as const) {
  test(`values that look like commands of psql load unharmed: ${form}`, () =>
    inTurn(async world => {
      await world.sql(LOOKALIKES);
      await world.sql('CREATE DATABASE scratch', 'postgres');
      const path = join(world.directory, 'notes.sql.gz');
      await program(
        world,
        'bash',
        '-o',
        'pipefail',
        '-c',
        'pg_dump app "$@" | gzip > "$0"',
        path,
        ...options,
      );
      await load(world, path);
      assert.equal(await contentOf(world, 'scratch'), await contentOf(world));
    }));
}

/** With a manifest, from here and from S3, and by a drill: test/long/integration/psql-commands.test.ts. */
test('a restore of a file refuses them', () =>
  inTurn(async world => {
    await begin(world);
    const file = writeDump(world, 'short.sql.gz', CONNECT);
    const before = await contentOf(world);
    await refused(() => restoreHere(world, file), 3, /has a command of psql in line 1, /);
    assert.equal(await contentOf(world), before);
    assert.equal(await databases(world), ['app']);
  }));

test('a psql that does not know \\restrict is refused before anything changes', () =>
  inTurn(async world => {
    await begin(world);
    const programs = join(world.directory, 'programs');
    const real = (await program(world, 'bash', '-c', 'command -v psql')).trim();
    const old = `#!/bin/sh\n[ "$1" != --version ] || exec echo 'psql (PostgreSQL) 15.13'\nexec ${real} "$@"\n`;
    await program(
      world,
      'bash',
      '-c',
      'mkdir "$0" && printf %s "$1" > "$0/psql" && chmod +x "$0/psql"',
      programs,
      old,
    );
    assert.is(readFileSync(join(programs, 'psql'), 'utf8'), old);
    const file = writeDump(world, 'short.sql.gz', 'SELECT 1;');
    world.env.PATH = `${programs}:${world.env.PATH}`;
    await refused(
      () => restoreHere(world, file),
      1,
      /psql 15\.13 can't refuse psql commands in a dump/,
      /update/,
    );
    assert.equal(await databases(world), ['app']);
  }));

test('the servers stop', stop);

test.run();
