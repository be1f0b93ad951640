/** Which test files there are, and what each needs. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface TestFile {
  /** Relative to the directory of the tests. */
  path: string;
  source: string;
  needsEngine: boolean;
  /** Files of one group run one after the other. */
  group?: string;
}

export interface Selection {
  /** Parts of paths; none: all. */
  words: string[];
  /** Only what needs no engine. */
  fast: boolean;
  /** The long suite, in `long/`, in the place of the other. */
  long: boolean;
}

export function findTests(directory: string, { words, fast, long }: Selection): TestFile[] {
  return globSync('**/*.test.ts', { cwd: directory, exclude: name => name.includes('node_modules') })
    .filter(path => path.startsWith('long/') === long)
    .filter(path => words.length === 0 || words.some(word => path.includes(word)))
    .map(path => ({
      path,
      source: readFileSync(join(directory, path), 'utf8'),
      needsEngine: /^(long\/)?stack\//.test(path),
    }))
    .filter(({ needsEngine }) => !(fast && needsEngine))
    .sort((a, b) => a.path.localeCompare(b.path));
}
