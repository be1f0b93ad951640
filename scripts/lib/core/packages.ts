/** Packages of Debian and Ubuntu. Scripts and tests install them here only. */
import { existsSync, readFileSync } from 'node:fs';
import { withFileLock } from './lock.ts';
import { log } from './log.ts';
import { CommandError, hasProgram, sh } from './shell.ts';
import { sleep } from './signals.ts';

/** In a directory that only root can write: no other user can block an installation. */
const LOCK = '/run/installed-packages.lock';
/** Longest wait for another of these installations, and for one by another program. */
const WAIT_SECONDS = 900;
const FOREIGN_LOCK_SECONDS = 300;

/** @returns whether this process may install packages: it is root, and apt-get is here */
export function canInstall(): boolean {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  return process.getuid?.() === 0 && /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(release) && hasProgram('apt-get');
}

/**
 * Installs the packages that are missing, without recommended ones. One process at a time installs; the others wait
 * and find them installed. It also waits for a lock of apt that another program holds.
 *
 * @throws OperationalError with the last line of apt's errors
 */
export async function installPackages(names: string[]): Promise<void> {
  if ((await missingPackages(names)).length === 0) return;
  const waiting = {
    purpose: 'wait for another installation of packages',
    hint: `another process has held ${LOCK} for ${WAIT_SECONDS / 60} minutes.`,
  };
  await withFileLock(LOCK, WAIT_SECONDS, waiting, async () => {
    const wanted = await missingPackages(names);
    if (wanted.length === 0) return;
    log.info(`installing with apt-get: ${wanted.join(' ')}`);
    await apt(['update'], 'update the package lists');
    await apt(['install', '--yes', '--no-install-recommends', ...wanted], `install ${wanted.join(' ')}`);
  });
}

/** @returns those of the packages that are not installed */
export async function missingPackages(names: string[]): Promise<string[]> {
  // dpkg-query fails for an unknown package, but still lists the others.
  const format = ['Package', 'db:Status-Abbrev'].map(field => `\${${field}}`).join(' ');
  const query = sh('list the installed packages');
  const lines = await query`dpkg-query --show --showformat ${`${format}\n`} ${names} 2>/dev/null || true`;
  const installed = new Set([...lines.matchAll(/^(\S+) ii/gm)].map(([, name]) => name));
  return names.filter(name => !installed.has(name));
}

/** Retries while a lock is held: apt's `DPkg::Lock::Timeout` does not cover the locks of the lists and archives. */
async function apt(args: string[], purpose: string): Promise<void> {
  const deadline = Date.now() + FOREIGN_LOCK_SECONDS * 1000;
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  for (let logged = false; ; logged = true) {
    try {
      await sh(purpose, { timeout: WAIT_SECONDS, env })`apt-get -q ${args}`;
      return;
    } catch (error) {
      const locked = error instanceof CommandError && /Could not get lock/.test(error.stderr);
      if (!locked || Date.now() > deadline) throw error;
      if (!logged) log.info('waiting for another program, which holds a lock of apt');
      await sleep(1);
    }
  }
}
