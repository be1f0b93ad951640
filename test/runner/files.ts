/** Which test files there are, and what each needs. */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sharing } from '../stack/lib/shared.ts';

export interface TestFile {
  /** Relative to the directory of the tests. */
  path: string;
  /** Its text, and that of the test files that it runs by importing them. */
  source: string;
  needsEngine: boolean;
  /** Files of one group run one after the other. */
  group?: string;
  /** It leaves the processors to others, and takes no lane from them. */
  waits?: boolean;
}

export interface Selection {
  /** Parts of paths; none: all. */
  words: string[];
  /** Only what needs no engine. */
  fast: boolean;
  /** A suite of its own, in the folder of that name, instead of all others. */
  suite?: Suite | undefined;
}

/** What is too long for each run, and what needs a store of another kind. */
const SUITES = ['long', 'stores'] as const;
export type Suite = (typeof SUITES)[number];

/** @returns the files in the order in which they start best: the longest, by `longest`, first */
export function findTests(
  directory: string,
  { words, fast, suite }: Selection,
  longest: (file: TestFile) => number,
): TestFile[] {
  const files = globSync('**/*.test.ts', { cwd: directory, exclude: name => name.includes('node_modules') })
    .filter(path => SUITES.find(name => path.startsWith(`${name}/`)) === suite)
    .filter(path => words.length === 0 || words.some(word => path.includes(word)))
    .map(path => ({
      path,
      source: sourceOf(join(directory, path)),
      needsEngine: /^(long\/)?stack\//.test(path),
    }))
    .filter(({ needsEngine }) => !(fast && needsEngine));
  // Together they take longer than any other file: the first of them is the first of all.
  const paths = new Map(files.map(file => [join(directory, file.path), file]));
  const together = sharing([...paths.keys()]).map(path => ({ ...paths.get(path)!, group: 'one stack' }));
  const others = files.filter(({ path }) => !together.some(each => each.path === path));
  return [...together, ...others.sort((a, b) => longest(b) - longest(a) || a.path.localeCompare(b.path))];
}

function sourceOf(path: string): string {
  const text = readFileSync(path, 'utf8');
  const imported = [...text.matchAll(/^import '(\.[^']*\.test\.ts)';$/gm)].map(([, to]) =>
    join(dirname(path), to!),
  );
  return [text, ...imported.map(sourceOf)].join('\n');
}
