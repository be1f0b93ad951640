/** The repository as a server has it. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import { run } from '../../engine/process.ts';

interface Locked {
  dev?: boolean;
  devOptional?: boolean;
}

/**
 * Copies what Git has or does not ignore, and the packages that `npm ci --omit=dev` installs. It must be a copy: on the tests'
 * machine other tests, commits and caches write into the repository meanwhile, and what is new there belongs to root.
 */
export async function copyRepository(directory: string): Promise<void> {
  mkdirSync(directory);
  const listed = await run('git', [
    '-C',
    ROOT,
    'ls-files',
    '-z',
    '--cached',
    '--others',
    '--exclude-standard',
  ]);
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Locked>;
  };
  const modules = Object.entries(packages).flatMap(([path, { dev, devOptional }]) =>
    path === '' || dev || devOptional ? [] : [path],
  );
  const own = ['node_modules/.package-lock.json', 'node_modules/.bin'];
  const paths = [...listed.split('\0').filter(Boolean), ...modules, ...own];
  const list = `${directory}.list`;
  writeFileSync(list, paths.filter(path => existsSync(join(ROOT, path))).join('\0'));
  const copy = 'tar -C "$1" --null --files-from "$2" -c | tar -C "$3" --no-same-owner -x';
  await run('bash', ['-o', 'pipefail', '-c', copy, 'bash', ROOT, list, directory]);
}
