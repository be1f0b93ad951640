/** Who can read the files, here and in the repository. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Config, ROOT } from '../../config/config.ts';
import { word } from '../../core/command-line.ts';
import { messageOf } from '../../core/errors.ts';
import { hasProgram, run } from '../../core/shell.ts';
import { isPrivate } from '../ages.ts';
import { secretValues, valuesHere } from '../kinds.ts';
import type { Finding } from './finding.ts';

/** Files that have values, or copies of them: no examples, and none that is encrypted with age or SOPS. */
const isEnvFile = (name: string) => /^\.env(\.|$)/.test(name) && !/\.(example|age|sops)$/.test(name);

/** @returns env files and copies of them that others can read, and a directory in which others can replace them */
export function modeFindings(): Finding[] {
  const open = readdirSync(ROOT)
    .filter(isEnvFile)
    .map(name => join(ROOT, name))
    .filter(path => !isPrivate(path));
  const { mode } = statSync(ROOT);
  return [
    ...open.map((path): Finding => {
      const what = `${basename(path)} can be read by others: its mode is ${modeOf(path)}, and not 600`;
      return { check: 'mode', status: 'fault', message: what, hint: `chmod 600 ${word(path)}` };
    }),
    ...(mode & 0o002
      ? [
          {
            check: 'mode' as const,
            status: 'fault' as const,
            message: `every user of this server can replace files of ${ROOT}`,
            hint: `chmod o-w ${word(ROOT)}`,
          },
        ]
      : []),
  ];
}

const modeOf = (path: string) => (statSync(path).mode & 0o7777).toString(8);

/** Characters of the shortest value that is looked for in other files. */
const SHORTEST = 12;
/** Bytes of the largest file that is read. */
const LARGEST = 1 << 20;

/** @returns env files that Git tracks or has tracked, and tracked files with a value of ours */
export async function gitFindings(config: Config): Promise<Finding[]> {
  if (!hasProgram('git')) return [unknown('there is no git on PATH')];
  const git = (...args: string[]) => run(['git', '-C', ROOT, ...args], { purpose: 'ask Git' });
  let tracked: string[];
  try {
    tracked = (await git('ls-files', '-z')).split('\0').filter(Boolean);
  } catch (error) {
    return [unknown(messageOf(error))];
  }
  const files = tracked.filter(path => isEnvFile(basename(path)));
  const { envFile, appFile } = config;
  const names = [envFile, appFile].map(path => basename(path));
  // Its paths begin at the top of the repository, which may be above this directory.
  const log = await git('log', '--all', '--format=', '--name-only', '--', ...names);
  const before = log.split('\n').map(path => basename(path));
  const gone = names.filter(name => before.includes(name) && !files.includes(name));
  const values = [...secretValues(valuesHere(config))].filter(([, value]) => value.length >= SHORTEST);
  return [
    ...files.map(path =>
      fault(
        `Git tracks ${path}: who has the repository has its values`,
        `git rm --cached ${word(path)}, then replace each of its secrets.`,
      ),
    ),
    ...gone.map(name =>
      fault(
        `the history of this repository has ${name}`,
        'replace each secret that was in it; a commit that removes the file does not remove it from the history.',
      ),
    ),
    ...tracked
      .filter(path => !files.includes(path))
      .flatMap(path => {
        const has = namesIn(join(ROOT, path), values);
        const what = `${path}, which Git tracks, has the value of ${has.join(' and ')}`;
        return has.length > 0 ? [fault(what, 'remove it there, and replace the secret.')] : [];
      }),
  ];
}

function namesIn(path: string, values: [name: string, value: string][]): string[] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found?.isFile() || found.size > LARGEST) return [];
  const text = readFileSync(path, 'utf8');
  return values.filter(([, value]) => text.includes(value)).map(([name]) => name);
}

const fault = (message: string, hint: string): Finding => ({ check: 'git', status: 'fault', message, hint });
const unknown = (why: string): Finding => ({
  check: 'git',
  status: 'unknown',
  message: `whether Git tracks a secret is not known: ${why}`,
  hint: 'run it as the owner of the repository, with Git installed; without a repository there is nothing to find.',
});
