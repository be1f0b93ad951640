/** Packages of Debian and Ubuntu. Whoever installs one, a drill or a test, does it here. */
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { log } from './log.ts';
import { CommandError, hasProgram, run } from './shell.ts';
import { sleep } from './signals.ts';

/** Not in a directory that all may write: only root installs, and nobody else may hold this up. */
const LOCK = '/run/neurmatic-packages.lock';
/** How long other installations may take: ours, and those of programs that are not ours. */
const WAIT_SECONDS = 900;
const FOREIGN_LOCK_SECONDS = 300;

/** @returns whether this process may install packages: it is root, and apt-get is here */
export function canInstall(): boolean {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  return process.getuid?.() === 0 && /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(release) && hasProgram('apt-get');
}

/**
 * Installs those of the packages that the machine lacks, without what they recommend. One process at a time does
 * so; the others wait for it and find it done. A lock of apt's that another program holds is waited for, too.
 *
 * @throws OperationalError with apt's last words
 */
export async function installPackages(names: string[]): Promise<void> {
  if ((await missing(names)).length === 0) return;
  await oneAtATime(async () => {
    const wanted = await missing(names);
    if (wanted.length === 0) return;
    log.info(`installing with apt-get: ${wanted.join(' ')}`);
    await apt(['update'], 'update the package lists');
    await apt(['install', '--yes', '--no-install-recommends', ...wanted], `install ${wanted.join(' ')}`);
  });
}

async function missing(names: string[]): Promise<string[]> {
  // It fails where one of the names is unknown to it, and still lists the others.
  const format = ['Package', 'db:Status-Abbrev'].map(field => `\${${field}}`).join(' ');
  const argv = ['dpkg-query', '--show', '--showformat', `${format}\n`, ...names];
  const lines = await run(['sh', '-c', '"$@" 2>/dev/null || true', 'sh', ...argv], {
    purpose: 'look which packages are installed',
  });
  const installed = new Set([...lines.matchAll(/^(\S+) ii/gm)].map(([, name]) => name));
  return names.filter(name => !installed.has(name));
}

async function oneAtATime(work: () => Promise<void>): Promise<void> {
  const descriptor = openSync(LOCK, 'a', 0o600);
  try {
    await run(['flock', '-w', String(WAIT_SECONDS), '0'], {
      purpose: 'wait for another installation of packages',
      stdin: descriptor,
      timeout: WAIT_SECONDS + 10,
      hint: `another process has held ${LOCK} for ${WAIT_SECONDS / 60} minutes.`,
    });
    await work();
  } finally {
    closeSync(descriptor); // the kernel frees the lock with it
  }
}

/** Tries again while a lock is held: apt's own `DPkg::Lock::Timeout` does not wait for those of the lists and archives. */
async function apt(args: string[], purpose: string): Promise<void> {
  const deadline = Date.now() + FOREIGN_LOCK_SECONDS * 1000;
  for (let told = false; ; told = true) {
    try {
      await run(['apt-get', '-q', ...args], {
        purpose,
        timeout: WAIT_SECONDS,
        env: { DEBIAN_FRONTEND: 'noninteractive' },
      });
      return;
    } catch (error) {
      const locked = error instanceof CommandError && /Could not get lock/.test(error.stderr);
      if (!locked || Date.now() > deadline) throw error;
      if (!told) log.info('another program holds a lock of apt’s: waiting for it');
      await sleep(1);
    }
  }
}
