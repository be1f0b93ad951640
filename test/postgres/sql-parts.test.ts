import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Part, partsOf } from '../../scripts/lib/postgres/sql-parts.ts';
import { startsWith, wordsOf } from '../../scripts/lib/postgres/sql-words.ts';

/** What looks like a statement where none is. */
const BAIT = 'GRANT ALL ON t TO evil;';

const STATEMENTS = [
  'SET standard_conforming_strings = on;',
  `COMMENT ON TABLE t IS 'it''s; ${BAIT}\n${BAIT}\n';`,
  `COMMENT ON TABLE t IS E'it\\'s; \\\\''; ${BAIT}\n' ;`,
  `COMMENT ON TABLE "a;""b" IS ' \\';`,
  `CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $_$ BEGIN\n${BAIT}\n $$ ; $x$ ' END $_$;`,
  `CREATE FUNCTION g(int) RETURNS int LANGUAGE sql AS $$ SELECT $1; '\n${BAIT}\n$$;`,
  `CREATE TABLE a$b$c (x int /* ; /* ' */ ; */, y$ text DEFAULT 'e' -- ; '\n);`,
  `INSERT INTO t VALUES ('\n\\connect mydb\n${BAIT}\n\\.\n', E'\\\\');`,
  'COPY public.t (a, "b FROM stdin") FROM stdin;',
  'ALTER TABLE public.t OWNER TO "x;y";',
  'COPY empty FROM stdin;',
  'GRANT SELECT ON TABLE t TO writer;',
];
const after: Record<string, string> = {
  [STATEMENTS[8]!]: `\n${BAIT}\n'\\n\t"\t$$\n\\\\.\n\\.x\n\\.\n`,
  [STATEMENTS[10]!]: '\n\\.\n',
};
const DUMP = [
  '--\n-- PostgreSQL; database dump\n--\n\n\\restrict "abc;\n',
  ...STATEMENTS.map(statement => `${statement}${after[statement] ?? '\n'}\n--\n-- Name: it's; Type: X\n--\n`),
  '\\unrestrict abc\n',
].join('\n');

async function read(text: string, size: number): Promise<Part[]> {
  const chunks = Array.from({ length: Math.ceil(text.length / size) }, (_, i) =>
    text.slice(i * size, (i + 1) * size),
  );
  return Array.fromAsync(partsOf(chunks));
}

test('a dump is taken apart the same, wherever its chunks end', async () => {
  for (const size of [1, 2, 3, 5, 7, 64, 1000, DUMP.length]) {
    const parts = await read(DUMP, size);
    assert.is(parts.map(({ text }) => text).join(''), DUMP, `chunks of ${size}`);
    const statements = parts.filter(({ kind }) => kind === 'statement').map(({ text }) => text);
    assert.equal(statements, STATEMENTS, `chunks of ${size}`);
  }
});

test('a statement or lines of any length are passed on while they arrive', async () => {
  const long = 'x'.repeat(3 << 20);
  for (const text of [`SELECT '${long}; ${BAIT}';`, `COPY t FROM stdin;\n${long}\n\\.\n`]) {
    const parts = await read(`${text}\nSELECT 1;\n`, 1 << 16);
    assert.is(parts.map(part => part.text).join(''), `${text}\nSELECT 1;\n`);
    assert.ok(parts.every(part => part.text.length < 2 << 20));
    const statements = parts.filter(({ kind }) => kind === 'statement').map(part => part.text);
    assert.equal(statements.at(-1), 'SELECT 1;');
    assert.not.ok(statements.some(statement => statement.includes('GRANT')));
  }
});

test('what is cut off ends', async () => {
  for (const cut of [
    '',
    '-',
    '--',
    'SELECT',
    "SELECT '",
    'SELECT $a$ x',
    'SELECT /* /* */',
    'COPY t FROM stdin;\nx',
    '\\',
  ])
    assert.is((await read(cut, 1)).map(({ text }) => text).join(''), cut);
});

test('words of a statement', () => {
  const words = wordsOf(`ALTER ROLE "a ""b"" TO x" SET app.x TO E'it\\'s', 'it''s'; -- end`);
  assert.equal(
    words.map(({ text }) => text),
    ['ALTER', 'ROLE', 'a "b" TO x', 'SET', 'app', '.', 'x', 'TO', "it's", ',', "it's", ';'],
  );
  assert.ok(startsWith(words, 'ALTER ROLE'));
  assert.not.ok(startsWith(wordsOf('"ALTER" ROLE'), 'ALTER ROLE'));
});

test.run();
