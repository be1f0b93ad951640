/** A dump is data: psql takes none of its own commands from it, wherever it comes from and whatever it says. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkSource } from '../../scripts/lib/backup/verify.ts';
import { runDrill } from '../../scripts/lib/drill/run-drill.ts';
import { loadPlain } from '../../scripts/lib/restore/load-plain.ts';
import { configOf, store } from '../support/backup/old-backups.ts';
import { begin, stateOf } from '../support/core/expect.ts';
import { makeBackup, refused, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import type { World } from '../support/core/world.ts';
import { contentOf, databases, program } from '../support/postgres/compare.ts';
import { fetchedDump, forge, LOOKALIKES, writeDump } from '../support/restore/plain-dumps.ts';

const { inTurn, stop } = await createTurns();

const CONNECT = '\\c app\nDROP TABLE state;';

/** Loads a plain dump into database `scratch`, as a restore does after its check. */
async function load(world: World, path: string): Promise<void> {
  const { postgres } = configOf(world, {});
  const { frame } = await checkSource(postgres, fetchedDump(world, path));
  await loadPlain(postgres, path, frame!, 'scratch', 'stop', { purpose: 'load', settings: '' });
}

test('each way to give psql a command is refused, and none has an effect', () =>
  inTurn(async world => {
    await begin(world);
    await world.sql('CREATE DATABASE scratch', 'postgres');
    const trace = join(world.directory, 'trace');
    const script = join(world.directory, 'script.sql');
    writeFileSync(script, 'CREATE TABLE included ();\n');
    for (const [what, statements, line] of [
      ['a connection', CONNECT],
      ['a leading blank', ` ${CONNECT}`],
      ['a leading tab', `\t${CONNECT}`],
      ['behind a statement', `SELECT 1; ${CONNECT}`],
      ['within a statement', `SELECT 1 ${CONNECT}`],
      ['behind a comment', `/* one */ ${CONNECT}`],
      ['behind a value', `SELECT 'a''b'; ${CONNECT}`],
      ['behind rows', `CREATE TABLE rows (i int);\nCOPY rows FROM stdin;\n1\n\\.\n${CONNECT}`, 5],
      ['a program', `\\! touch ${trace}`],
      ['another file', `\\i ${script}`],
      ['another file, beside this one', '\\ir script.sql'],
      ['output into a file', `\\o ${trace}\nSELECT 1;`],
      ['output into a program', `\\o |touch ${trace}\nSELECT 1;`],
      ['rows from a program', `CREATE TABLE t (i int);\n\\copy t from program 'touch ${trace}'`, 2],
      ['rows into a file', `\\copy (SELECT 1) to '${trace}'`],
      ['a result as variables', 'SELECT 1 AS i \\gset'],
      ['a result as statements', "SELECT 'CREATE TABLE made ()' \\gexec"],
      ['a result into a program', `SELECT 1 \\g |touch ${trace}`],
      ['a variable from a program', `\\set x \`touch ${trace}\``],
      ['the end of the restriction, with another key', `\\unrestrict Other\n\\! touch ${trace}`],
      [
        'the end of the restriction, with the key from a program',
        `\\unrestrict \`touch ${trace}; echo Other\``,
      ],
      ['the end of the restriction, with no key', `\\unrestrict\n\\! touch ${trace}`],
      ['a restriction of its own', '\\restrict Other'],
      ['a pair of its own', `\\restrict Other\n\\unrestrict Other\n\\! touch ${trace}`],
      ['an end', '\\q'],
    ] as [string, string, number?][]) {
      const path = writeDump(world, 'short.sql.gz', `SELECT 0;\n${statements}`);
      const why = new RegExp(`short.sql.gz has a command of psql in line ${(line ?? 1) + 1}, `);
      await refused(() => load(world, path), 3, why, /live database is unchanged/).catch(error => {
        error.message = `${what}: ${error.message}`;
        throw error;
      });
      assert.is(await stateOf(world), 'backed up', what);
      assert.not.ok(existsSync(trace), what);
      await world.sql('DROP TABLE IF EXISTS t, rows', 'scratch');
    }
    assert.equal(await world.rows("SELECT FROM pg_tables WHERE schemaname = 'public'", 'scratch'), []);
  }));

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

/** In each way to restore: test/long/integration/psql-commands.test.ts. */
test('a restore of a file and a drill of a backup with a manifest refuse them', () =>
  inTurn(async world => {
    await begin(world);
    const trace = join(world.directory, 'trace');
    const file = writeDump(world, 'short.sql.gz', CONNECT);
    const backup = await makeBackup(world, { upload: false });
    const forged = forge(world, backup, sql => `\\! touch ${trace}\n${sql}`);
    await store(world, {}, forged);
    const before = await contentOf(world);
    const why = /has a command of psql in line 1, /;
    await refused(() => restoreHere(world, file), 3, why);
    await refused(() => runDrill(configOf(world, {})), 3, why);
    assert.equal(await contentOf(world), before);
    assert.equal(await databases(world), ['app']);
    assert.not.ok(existsSync(trace));
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
