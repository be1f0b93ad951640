/* The pages point into the repository: each path and link that they name has to exist. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../scripts/lib/config/config.ts';

const pages = ['README.md', 'CHANGELOG.md', ...globSync('docs/*.md', { cwd: ROOT })];
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const tests = new Set(
  globSync('test/**/*.ts', { cwd: ROOT, exclude: path => path.includes('node_modules') }).map(path =>
    basename(path),
  ),
);

/** The anchors that GitHub gives to headings. */
const anchors = (markdown: string) =>
  [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  );

/** What is missing of all that a pattern finds in the pages. */
function missing(pattern: RegExp, exists: (found: string, page: string) => boolean): string[] {
  const all = pages.flatMap(page =>
    [...read(page).matchAll(pattern)].map(([, found]) => [page, found!] as const),
  );
  assert.ok(all.length > 5, `${pattern} finds ${all.length}`);
  return all.filter(([page, found]) => !exists(found, page)).map(([page, found]) => `${page}: ${found}`);
}

test('every test that a page names exists', () => {
  assert.equal(
    missing(/(?<![\w/*.-])((?:[\w-]+\/)*[\w-]+\.test\.ts)/g, path =>
      path.includes('/') ? existsSync(join(ROOT, path)) : tests.has(path),
    ),
    [],
  );
});

test('the sections that other pages and alerts lead to are there', () => {
  const there = anchors(read('docs/PRODUCTION_INFRASTRUCTURE.md'));
  for (const anchor of [
    'server-configuration',
    'dns-and-cloudflare',
    'ssltls-configuration',
    'security-hardening',
  ])
    assert.ok(there.includes(anchor), anchor);
});

test('each measure of the checklist names a test that exists, by words of its title', () => {
  const page = read('docs/PRODUCTION_INFRASTRUCTURE.md');
  const section = page.slice(page.indexOf('\n## Security hardening\n')).split(/\n## /)[1]!;
  const rows = section.split('\n').filter(line => /^\| (?!Measure|-)/.test(line));
  assert.ok(rows.length >= 15, `${rows.length}`);
  const wrong = rows.flatMap(row => {
    const proofs = row.split(' | ').at(-1)!;
    const named = [...proofs.matchAll(/`(test\/[\w/-]+\.test\.ts)` “([^”]+)”/g)];
    // Nothing is named but tests with their words.
    const rest = named.reduce((left, [whole]) => left.replace(whole, ''), proofs).replace(/[, |]/g, '');
    const missing = named.filter(([, path, words]) => !titlesOf(path!).some(title => title.includes(words!)));
    if (named.length > 0 && rest === '' && missing.length === 0) return [];
    return [
      `${row.split(' | ')[0]}: ${missing.map(([whole]) => whole).join(', ') || rest || 'names no test'}`,
    ];
  });
  assert.equal(wrong, []);
});

/** The titles of a file's tests, as they are written; none where there is no such file. */
function titlesOf(path: string): string[] {
  if (!existsSync(join(ROOT, path))) return [];
  return [...read(path).matchAll(/^ *test\((['`])(.*?)\1,/gm)].map(([, , title]) => title!);
}

test('every file of the repository that a page names exists', () => {
  const path = /(?<![\w/*.-])(?:\.\/)?((?:scripts|nginx|test|docs)\/[\w./-]+\.\w+)/g;
  assert.equal(
    missing(path, found => existsSync(join(ROOT, found))),
    [],
  );
});

test('every script that a page names exists', () => {
  const names = globSync('scripts/*.ts', { cwd: ROOT }).map(path => basename(path));
  assert.equal(
    missing(/`([\w-]+\.ts)[ `]/g, name => names.includes(name)),
    [],
  );
});

test('every link leads somewhere', () => {
  const leads = (link: string, page: string) => {
    const [path, anchor] = link.split('#');
    const target = path ? join(dirname(page), path) : page;
    return existsSync(join(ROOT, target)) && (!anchor || anchors(read(target)).includes(anchor));
  };
  assert.equal(missing(/\]\((?!https:)([^)]+)\)/g, leads), []);
});

test('every file of the repository that a comment of the configuration or the scripts names exists', () => {
  const sources = [
    ...globSync('{docker-compose.*.yml,Dockerfile,tsconfig.json,biome.json,.dclintrc.yaml,.dockerignore}', {
      cwd: ROOT,
    }),
    ...globSync('{nginx,scripts,.github,.ci}/**/*', { cwd: ROOT, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => relative(ROOT, join(entry.parentPath, entry.name))),
  ];
  assert.ok(sources.length > 100, `${sources.length}`);
  const path =
    /(?<![\w/*.${}-])(?:\.\/)?((?:(?:scripts|nginx|test|docs)\/)[\w./-]+\.(?:ts|md|conf|yml|sh|json))\b/g;
  const wrong = sources.flatMap(source =>
    [...read(source).matchAll(path)]
      .filter(
        ([, found]) => !existsSync(join(ROOT, found!)) && !existsSync(join(ROOT, dirname(source), found!)),
      )
      .map(([, found]) => `${source}: ${found}`),
  );
  // A form of names, in a comment on how messages are written.
  assert.equal(wrong, ['scripts/lib/core/command-line.ts: scripts/NAME.ts']);
});

test.run();
