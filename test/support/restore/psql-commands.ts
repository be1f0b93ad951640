/** Commands of psql in a dump, which is data. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { checkSource } from '../../../scripts/lib/backup/verify.ts';
import { loadPlain } from '../../../scripts/lib/restore/load-plain.ts';
import { configOf } from '../backup/old-backups.ts';
import { begin, stateOf } from '../core/expect.ts';
import { refused } from '../core/in-process.ts';
import type { World } from '../core/world.ts';
import { contentOf, program } from '../postgres/compare.ts';
import { fetchedDump, LOOKALIKES, writeDump } from './plain-dumps.ts';

export const CONNECT = '\\c app\nDROP TABLE state;';

/** Loads a plain dump into database `scratch`, as a restore does after its check. */
export async function load(world: World, path: string): Promise<void> {
  const { postgres } = configOf(world, {});
  const { frame } = await checkSource(postgres, fetchedDump(world, path));
  await loadPlain(postgres, path, frame!, 'scratch', 'stop', { purpose: 'load', settings: '' });
}

/** Values that look like commands of psql load unharmed. @param options of pg_dump */
export async function assertLookalikesLoad(world: World, ...options: string[]): Promise<void> {
  await world.sql(LOOKALIKES);
  await world.sql('CREATE DATABASE scratch', 'postgres');
  const path = join(world.directory, 'notes.sql.gz');
  const dump = 'pg_dump app "$@" | gzip > "$0"';
  await program(world, 'bash', '-o', 'pipefail', '-c', dump, path, ...options);
  await load(world, path);
  assert.equal(await contentOf(world, 'scratch'), await contentOf(world));
}

/** What each is, its statements, and the line of the command, counted from the first of them. */
const waysOf = (trace: string, script: string): [what: string, statements: string, line?: number][] => [
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
  ['the end of the restriction, with the key from a program', `\\unrestrict \`touch ${trace}; echo Other\``],
  ['the end of the restriction, with no key', `\\unrestrict\n\\! touch ${trace}`],
  ['a restriction of its own', '\\restrict Other'],
  ['a pair of its own', `\\restrict Other\n\\unrestrict Other\n\\! touch ${trace}`],
  ['an end', '\\q'],
];

/** Each way to give psql a command is refused, and none has an effect. */
export async function assertNoCommands(world: World, wanted: (what: string) => boolean): Promise<void> {
  await begin(world);
  await world.sql('CREATE DATABASE scratch', 'postgres');
  const trace = join(world.directory, 'trace');
  const script = join(world.directory, 'script.sql');
  writeFileSync(script, 'CREATE TABLE included ();\n');
  for (const [what, statements, line] of waysOf(trace, script)) {
    if (!wanted(what)) continue;
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
}
