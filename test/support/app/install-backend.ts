import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const BACKEND = join(import.meta.dirname, '../../app/backend');

const LOCK_FILE = join(BACKEND, 'package-lock.json');
const STAMP = join(BACKEND, 'node_modules/.lock-sha256');

const wanted = (): string => createHash('sha256').update(readFileSync(LOCK_FILE)).digest('hex');
const installed = (): boolean => existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted();

/**
 * Installs the reference backend's dependencies as its lock file says, on this host: its image has to build
 * without a network and copies them. Does nothing if they are there.
 */
export function installBackend(): void {
  if (installed()) return;
  // Test files run side by side: one installs, the others wait for it.
  execFileSync('flock', [LOCK_FILE, process.execPath, import.meta.filename], { stdio: 'inherit' });
}

if (import.meta.main && !installed()) {
  process.stderr.write('installing the dependencies of test/app/backend\n');
  const options = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  execFileSync('npm', ['ci', ...options], { cwd: BACKEND, stdio: ['ignore', 'ignore', 'inherit'] });
  writeFileSync(STAMP, wanted());
}
