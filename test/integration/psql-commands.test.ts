/**
 * A dump is data: psql takes none of its own commands from it, wherever it comes from and whatever it says, and its SQL has
 * no rights beside the new database.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkSource } from '../../scripts/lib/backup/verify.ts';
import { drop } from '../../scripts/lib/postgres/drop.ts';
import { readSpaceFacts } from '../../scripts/lib/postgres/load-space.ts';
import { serverFacts } from '../../scripts/lib/postgres/server.ts';
import { scanDump } from '../../scripts/lib/restore/dump-scan.ts';
import { loadInto } from '../../scripts/lib/restore/load-dump.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { begin } from '../support/core/expect.ts';
import { refused, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import type { World } from '../support/core/world.ts';
import { contentOf, databases, program } from '../support/postgres/compare.ts';
import { forbidden, untouched } from '../support/restore/attacks.ts';
import { fetchedDump, writeDump } from '../support/restore/plain-dumps.ts';
import { assertLookalikesLoad, assertNoCommands, CONNECT } from '../support/restore/psql-commands.ts';

const { inTurn, stop } = await createTurns();

/** One of each kind. */
const WAYS = [
  'within a statement',
  'behind rows',
  'a program',
  'rows from a program',
  'a result as statements',
  'the end of the restriction, with the key from a program',
  'a restriction of its own',
];

/** All: test/long/integration/psql-commands.test.ts. */
test('each way to give psql a command is refused, and none has an effect', () =>
  inTurn(world => assertNoCommands(world, what => WAYS.includes(what))));

/** As INSERT, too: test/long/integration/psql-commands.test.ts. */
test('values that look like commands of psql load unharmed', () =>
  inTurn(world => assertLookalikesLoad(world)));

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

/** Loads a plain dump by a role without rights, past all errors. */
async function loadAll(world: World, path: string) {
  const config = configOf(world, {});
  const source = await checkSource(config.postgres, fetchedDump(world, path));
  const space = await readSpaceFacts(config.postgres, await serverFacts(config.postgres));
  const scan = await scanDump(config.postgres, source);
  return loadInto(config, source, 'app_new_20260101_000000', space, { scan, accept: 'all' });
}

/** Functions of rows, indexes and views, in drills, load checks and restores: test/long/integration/loader.test.ts. */
test('a plain dump by hand: each statement that takes a superuser fails', () =>
  inTurn(async world => {
    await world.sql('CREATE ROLE attacker; CREATE TABLE t AS SELECT 1 AS i');
    const check = await untouched(world);
    const statements = forbidden(world);
    const path = writeDump(
      world,
      'forged.sql.gz',
      `CREATE TABLE precious (i int);\n${statements.map(([statement]) => statement).join('\n')}`,
    );
    const text = await refused(() => loadAll(world, path), 1, /failed that rows depend on/, /--as-superuser/);
    for (const [statement, says] of statements) if (says) assert.match(text, says, statement);
    await drop(world.pg.postgres, 'app_new_20260101_000000');
    assert.equal(await world.rows(`SELECT FROM pg_roles WHERE rolname ~ '^_loader_'`, 'postgres'), []);
    await check();

    // What can only be loaded with such rights is refused before anything changes.
    const library = writeDump(
      world,
      'library.sql.gz',
      `CREATE FUNCTION public.run(text) RETURNS int\n    LANGUAGE c STRICT\n    AS '/lib/x86_64-linux-gnu/libc.so.6', 'system';`,
    );
    await refused(
      () => restoreHere(world, library),
      1,
      /only a superuser can load function public.run \(c\), and library.sql.gz was not made here/,
      /restore\.ts .* --as-superuser/,
    );
    await check();
  }));

test('the servers stop', stop);

test.run();
