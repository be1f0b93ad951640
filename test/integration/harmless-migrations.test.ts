/**
 * The judge of migrations against a server: after what it calls harmless, every query of the previous release gives what
 * it gave before; and what it calls contracting breaks one.
 */
import { isDeepStrictEqual } from 'node:util';
import { Client, type QueryResult } from 'pg';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { serverPrograms } from '../../scripts/lib/drill/postgres-process.ts';
import { lintMigrations } from '../../scripts/lib/migrations/lint.ts';
import { readNames } from '../../scripts/lib/migrations/names.ts';
import { queryOf } from '../../scripts/lib/postgres/query.ts';
import { startDatabase } from '../support/app/app.ts';
import { BREAKING, type Example, HARMLESS, NOT_KNOWN } from '../support/migrations/examples.ts';
import { QUERIES, SCHEMA, WITHOUT_COLUMNS } from '../support/migrations/old-release.ts';

process.env.PATH = `${serverPrograms()}:${process.env.PATH}`;
const server = await startDatabase();
const { host, port, user, password, database } = server.postgres;
const client = new Client({ host, port, user, password, database });
await client.connect();
await client.query(SCHEMA);
await client.query('PREPARE every_user AS SELECT * FROM users');
for (const [index, [sql, values]] of QUERIES.entries())
  if (values) await client.query(`PREPARE q${index} AS ${sql}`);
const names = await readNames(queryOf(server.postgres, database));

/** One message: what runs is the work of the server, not that of 80 round trips. */
const RELEASE = QUERIES.map(([sql, values], index) => (values ? `EXECUTE q${index}(${values})` : sql)).join(
  ';\n',
);

/** To read dates and JSON would be half of the work. */
const AS_TEXT = { getTypeParser: () => (value: string) => value };

type Answer = Pick<QueryResult, 'rows' | 'rowCount'>;

/** What the previous release sees; nothing of it stays. @throws {Error} the server's, for the first query that fails */
async function see(): Promise<Answer[]> {
  await client.query('SAVEPOINT release; SET LOCAL ROLE app');
  try {
    const results = (await client.query({ text: RELEASE, types: AS_TEXT })) as unknown as QueryResult[];
    return results.map(({ rows, rowCount }) => ({ rows, rowCount }));
  } finally {
    await client.query('ROLLBACK TO release; RESET ROLE');
  }
}

/** The columns that there were before. */
const like = (before: Answer[], after: Answer[]): Answer[] =>
  after.map(({ rows, rowCount }, index) => {
    const [first] = before[index]!.rows;
    const columns = Object.keys(first ?? {});
    return { rowCount, rows: rows.map(row => Object.fromEntries(columns.map(name => [name, row[name]]))) };
  });

async function inTransaction<T>(body: () => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  try {
    return await body();
  } finally {
    await client.query('ROLLBACK');
  }
}

const before = await inTransaction(see);

const judge = async (sql: string): Promise<string[]> => {
  const [found] = await lintMigrations([sql], names);
  return found!.filter(({ kind }) => kind === 'contracts').map(({ what }) => what);
};

/**
 * Migrates, and uses what is new. @returns why a query of the previous release then fails or has another answer
 * @throws {Error} when the migration itself fails
 */
async function breakage({ sql, use = '', alone }: Example): Promise<string | undefined> {
  if (alone) await client.query(sql);
  try {
    return await inTransaction(async () => {
      if (!alone) await client.query(sql);
      await client.query(use);
      const after = await see().catch(({ message }: Error) => message);
      if (typeof after === 'string') return after;
      return isDeepStrictEqual(like(before, after), before) ? undefined : 'another answer';
    });
  } finally {
    if (alone?.undo) await client.query(alone.undo);
  }
}

const exampleOf = (each: string | Example): Example => (typeof each === 'string' ? { sql: each } : each);

test('the previous release has at least 60 queries, and they give the same twice', async () => {
  assert.ok(QUERIES.length >= 60);
  assert.is(await breakage({ sql: 'SELECT 1' }), undefined);
});

test('after what is judged harmless, every query of the previous release gives what it gave', async () => {
  const wrong: string[] = [];
  for (const example of HARMLESS.map(exampleOf)) {
    wrong.push(...(await judge(example.sql)).map(what => `${example.sql}: ${what}`));
    const broken = await breakage(example);
    if (broken) wrong.push(`${example.sql}: ${broken}`);
  }
  assert.equal(wrong, []);
});

test('what breaks a query of the previous release is judged to take something away', async () => {
  const wrong: string[] = [];
  for (const example of BREAKING.map(exampleOf)) {
    if ((await judge(example.sql)).length === 0) wrong.push(`${example.sql}: judged harmless`);
    const broken = await breakage(example).catch(
      ({ message }: Error) => void wrong.push(`${example.sql}: ${message}`),
    );
    if (!broken) wrong.push(`${example.sql}: breaks nothing`);
  }
  assert.equal(wrong, []);
});

test('so is what is not known', async () => {
  for (const sql of NOT_KNOWN) assert.ok((await judge(sql)).length > 0, `${sql} contracts`);
});

test('a release that does not name its columns is not safe from a new one', () =>
  inTransaction(async () => {
    const fails = async (sql: string): Promise<string | undefined> => {
      await client.query('SAVEPOINT one');
      const error = await client.query(sql).then(
        () => undefined,
        ({ message }: Error) => message,
      );
      await client.query('ROLLBACK TO one');
      return error;
    };
    for (const sql of Object.keys(WITHOUT_COLUMNS)) assert.is(await fails(sql), undefined, sql);
    await client.query('ALTER TABLE users ADD COLUMN nickname text');
    for (const [sql, message] of Object.entries(WITHOUT_COLUMNS)) assert.is(await fails(sql), message);
    // Nor is one that writes longer values than an index takes.
    const long = "INSERT INTO tags SELECT 1, string_agg(md5(n::text), '') FROM generate_series(1, 500) AS n";
    assert.is(await fails(long), undefined);
    await client.query('CREATE INDEX ON tags (label)');
    assert.match((await fails(long)) ?? '', /^index row (size|requires) \d+/);
  }));

test('the server stops', async () => {
  await client.end();
  await server.stop();
});

test.run();
