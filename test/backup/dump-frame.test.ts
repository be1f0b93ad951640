import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type DumpFrame, readFrame } from '../../scripts/lib/backup/dump-frame.ts';

const SETTINGS = `SET statement_timeout = 0;\nSELECT pg_catalog.set_config('search_path', '', false);\n`;
const END = '--\n-- PostgreSQL database dump complete\n--\n';

/** A dump with these words around its statements. */
const dump = (statements: string, { before = '', after = '', kind = 'database' } = {}) =>
  `--\n-- PostgreSQL ${kind} dump\n--\n\n${before}\n${SETTINGS}\n${statements}\n${END}\n${after}`;

/** Behind four lines. */
const PAIR_AT = { start: 35, bytes: 14 };

const pair = { before: '\\restrict Key1\n', after: '\\unrestrict Key1\n\n' };

function frameOf(text: string): DumpFrame {
  const frame = readFrame(text);
  assert.type(frame, 'object', `${frame}`);
  return frame as DumpFrame;
}

test('the pair of \\restrict around a dump, and nothing that looks like it', () => {
  assert.equal(frameOf(dump('SELECT 1;')), { databases: false, restrict: null, trailerBytes: 0 });
  assert.equal(frameOf(dump('SELECT 1;', pair)), { databases: false, restrict: PAIR_AT, trailerBytes: 18 });
  const value = "INSERT INTO t VALUES ('\n\\restrict Key1\n\\unrestrict Key1\n');";
  assert.equal(frameOf(dump(value)), { databases: false, restrict: null, trailerBytes: 0 });
  assert.equal(frameOf(dump(value, pair)), { databases: false, restrict: PAIR_AT, trailerBytes: 18 });
  const windows = dump('SELECT 1;', pair).replaceAll('\n', '\r\n');
  assert.equal(frameOf(windows), { databases: false, restrict: { start: 39, bytes: 15 }, trailerBytes: 20 });
});

test('half a pair, or a dump without its last line', () => {
  const { before, after } = pair;
  const unmatched = /^its \\restrict in line 5 has no matching \\unrestrict at its end$/;
  for (const other of [
    '',
    '\\unrestrict Key2\n',
    '\\unrestrict Key12\n',
    `${after}SELECT 1;\n`,
    `${after}\\! id\n`,
  ])
    assert.match(readFrame(dump('SELECT 1;', { before, after: other })) as string, unmatched, other);
  assert.match(readFrame('SELECT 1;\n') as string, /last line of the dump is missing/);
  assert.match(readFrame('') as string, /last line of the dump is missing/);
});

test('dumps that create, drop or connect to databases', () => {
  for (const [statement, options] of [
    ['CREATE ROLE a;', { ...pair, kind: 'database cluster' }],
    ['CREATE DATABASE app;', {}],
    ['DROP DATABASE IF EXISTS app;', pair],
    ['\\connect app', {}],
    ['\\unrestrict Key1\n\n\\connect app', pair],
  ] as const)
    assert.is(frameOf(dump(statement, options)).databases, true, statement);
  for (const statement of [
    '',
    'SELECT 1;\nCREATE DATABASE app;',
    "INSERT INTO t VALUES ('\n\\connect app\n');",
  ])
    assert.is(frameOf(dump(statement, pair)).databases, false, statement);
});

test.run();
