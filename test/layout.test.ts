/** Where the files of scripts/ are, and which way they import each other. */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../scripts/lib/config/config.ts';

/** A folder imports from those before it only. */
const FOLDERS =
  'core config cli postgres s3 docker nginx logs migrations hooks notify backup restore drill health certificates deploy schedule secrets setup server maintenance'.split(
    ' ',
  );
const cwd = join(ROOT, 'scripts');
const files = globSync('**/*.ts', { cwd });
const folderOf = (path: string) => (path.startsWith('lib/') ? path.split('/')[1]! : 'verbs');
const imports = new Map(
  files.map(path => [
    path,
    [...readFileSync(join(cwd, path), 'utf8').matchAll(/(?:from |import\()'(\.\.?\/[^']+)'/g)].map(([, to]) =>
      normalize(join(dirname(path), to!)),
    ),
  ]),
);

test('each file of lib/ is in a folder that has its place in the order', () => {
  const known = new Set(['verbs', ...FOLDERS]);
  assert.equal(
    files.filter(path => !known.has(folderOf(path)) || /^lib\/[^/]+$/.test(path)),
    [],
  );
  assert.ok(files.length > 90);
});

test('imports run one way through the folders', () => {
  const order = [...FOLDERS, 'verbs'];
  const wrong = [...imports].flatMap(([from, tos]) =>
    tos
      .filter(to => order.indexOf(folderOf(to)) > order.indexOf(folderOf(from)))
      .map(to => `${from} imports ${to}`),
  );
  assert.equal(wrong, []);
});

test('no file imports itself, by whatever way', () => {
  const done = new Set<string>();
  const follow = (path: string, way: string[]) => {
    if (way.includes(path)) throw new Error([...way.slice(way.indexOf(path)), path].join(' → '));
    if (done.has(path)) return;
    for (const to of imports.get(path) ?? []) follow(to, [...way, path]);
    done.add(path);
  };
  for (const path of files) follow(path, []);
  assert.is(done.size, files.length);
});

test.run();
