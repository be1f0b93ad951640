import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../config/config.ts';
import { sh } from '../core/shell.ts';

/** Not a repository around this one, and no lock on it. */
const ENVIRONMENT = { GIT_CEILING_DIRECTORIES: join(ROOT, '..'), GIT_OPTIONAL_LOCKS: '0' };

/** @returns the version of these scripts, and in a checkout its commit, with a + after changes: `0.2.0 (956f396)` */
export async function versionOf(): Promise<string> {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const git = sh('read the commit', { cwd: ROOT, timeout: 10, env: ENVIRONMENT });
  // Not everyone may read it, and not every place is a checkout.
  const commit = await git`git describe --always --exclude ${'*'} --dirty=+`.catch(() => '');
  return commit ? `${version} (${commit})` : version;
}
