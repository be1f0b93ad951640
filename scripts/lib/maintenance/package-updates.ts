/** Newer versions of packages, and what is known to be wrong with those that are here. Nothing is installed. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { plural } from '../core/format.ts';
import { hasProgram, sh } from '../core/shell.ts';
import { NotConfigured } from '../health/check.ts';
import type { Task } from './tasks.ts';

/** npm repeats what fails for minutes unless it is told. */
const ONCE = ['--fetch-retries=0', '--fetch-timeout=20000'];
/** More names of packages than this are only counted. */
const MOST = 15;

interface Outdated {
  current?: string;
  latest: string;
}

interface Advisory {
  severity: string;
  /** Advisories, or names of packages that have one. */
  via: (string | { title: string; url: string })[];
}

interface NpmError {
  error?: { code?: string; summary?: string };
  /** Of `npm audit`. */
  message?: string;
}

/** The packages of the scripts, as package.json pins them for a server. */
export const npmUpdates = (): Task => ({
  name: 'npm',
  async look() {
    if (!hasProgram('npm')) throw new NotConfigured('there is no npm on PATH');
    const outdated = await npm<Record<string, Outdated>>('list newer versions of packages', 'outdated');
    const { vulnerabilities = {} } = await npm<{ vulnerabilities?: Record<string, Advisory> }>(
      'list advisories',
      'audit',
    );
    const { dependencies, optionalDependencies } = JSON.parse(
      readFileSync(join(ROOT, 'package.json'), 'utf8'),
    );
    const own = Object.keys({ ...dependencies, ...optionalDependencies });
    const newer = Object.entries(outdated).filter(([name]) => own.includes(name));
    const patches = newer.filter(([, { current, latest }]) => isPatch(current, latest));
    const others = newer
      .filter(each => !patches.includes(each))
      .map(([name, { latest }]) => `${name} ${latest}`);
    return {
      found: `${plural(patches.length, 'package')} with a newer patch version, ${plural(Object.keys(vulnerabilities).length, 'package')} with an advisory`,
      notes: [
        ...patches.map(([name, { current, latest }]) => `${name} ${current}: ${latest} is there`),
        ...(others.length > 0 ? [`newer minor or major versions: ${others.join(', ')}`] : []),
        ...Object.entries(vulnerabilities).map(
          ([name, { severity, via }]) => `${name} (${severity}): ${textOf(via)}`,
        ),
      ],
    };
  },
});

/** @returns whether the second version differs from the first in its patch only, and is newer */
export function isPatch(current: string | undefined, latest: string): boolean {
  const numbers = (version = '') => /^(\d+)\.(\d+)\.(\d+)$/.exec(version)?.slice(1).map(Number);
  const [from, to] = [numbers(current), numbers(latest)];
  return (
    from !== undefined && to !== undefined && from[0] === to[0] && from[1] === to[1] && from[2]! < to[2]!
  );
}

const textOf = (via: Advisory['via']): string =>
  via.map(each => (typeof each === 'string' ? `through ${each}` : `${each.title}, ${each.url}`)).join('; ');

/** Both verbs end with 1 where they find something; then, and after an error, their JSON says what. */
async function npm<T>(purpose: string, verb: string): Promise<T> {
  const text = await sh(purpose, { cwd: ROOT, timeout: 120 })`npm ${verb} --json --omit=dev ${ONCE} || true`;
  const found = JSON.parse(text || '{}') as T & NpmError;
  // Of `npm outdated`, a package may be called error.
  const { code, summary } = typeof found.error === 'object' ? found.error : {};
  const problem = code === undefined ? found.message : [code, summary].filter(Boolean).join(': ');
  if (typeof problem !== 'string') return found;
  throw new OperationalError(
    `could not ${purpose}: ${problem}`,
    'check the network; npm ping tells whether it reaches its registry.',
  );
}

/** The packages of the system. `setup-server.ts` has security updates installed each day. */
export const systemUpdates = (): Task => ({
  name: 'system',
  async look() {
    if (!hasProgram('apt-get')) throw new NotConfigured('there is no apt-get on PATH');
    const plan = await sh('list updates of the system', {
      env: { LC_ALL: 'C' },
    })`apt-get --simulate --quiet upgrade`;
    const updates = plan
      .split('\n')
      .flatMap(line => /^Inst (\S+) \[([^\]]+)\] \((\S+) ([^)]*)\)/.exec(line) ?? []);
    const all = Array.from({ length: updates.length / 5 }, (_, at) => updates.slice(5 * at + 1, 5 * at + 5));
    const security = all.filter(([, , , origin]) => /security/i.test(origin!));
    const shown = (of: string[][]) =>
      of
        .slice(0, MOST)
        .map(([name, from, to]) => `${name} ${from} → ${to}`)
        .join(', ') + (of.length > MOST ? ` and ${of.length - MOST} more` : '');
    return {
      found: `${plural(all.length, 'update')} of the system, ${security.length} of them for security`,
      notes: [
        ...(security.length > 0
          ? [`security: ${shown(security)}; sudo unattended-upgrade installs them`]
          : []),
        ...(all.length > security.length
          ? [
              `others: ${shown(all.filter(each => !security.includes(each)))}; sudo apt-get upgrade installs them`,
            ]
          : []),
        ...(existsSync('/run/reboot-required')
          ? ['an update takes effect with a restart of the server only']
          : []),
      ],
    };
  },
});
