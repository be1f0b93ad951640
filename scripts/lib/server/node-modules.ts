import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../config/config.ts';
import { plural } from '../core/format.ts';
import { asDeployUser } from './as-deploy-user.ts';
import { DEPLOY_USER } from './deploy-user.ts';
import type { StepOf } from './step.ts';

interface Locked {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  devOptional?: boolean;
}
type Lock = { packages: Record<string, Locked> };

/** The packages that the scripts need, Node.js included. */
export const nodeModules: StepOf = () => ({
  name: 'modules',
  gives: 'the packages of package-lock.json that the scripts need, without those for development',
  async look() {
    const wanted = readLock(join(ROOT, 'package-lock.json'));
    const { packages } = readLock(join(ROOT, 'node_modules/.package-lock.json'));
    const there = Object.entries(packages).filter(([path]) => existsSync(join(ROOT, path, 'package.json')));
    const installed = { packages: Object.fromEntries(there) };
    const differences = moduleDifferences(wanted, installed);
    const found = plural(Object.keys(installed.packages).length, 'package');
    return {
      found: `${found} in node_modules`,
      // One line is enough: npm ci installs all of them.
      differences:
        differences.length > 3
          ? [`${plural(differences.length, 'package')} differ from package-lock.json`]
          : differences,
    };
  },
  async mend() {
    await asDeployUser('install the packages', `cd "$1" && npm ci --omit=dev --no-audit --no-fund`, [ROOT], {
      timeout: 900,
      hint: 'npm is needed, and its registry: apt-get install npm',
    });
    return [`ran npm ci --omit=dev as ${DEPLOY_USER}`];
  },
});

function readLock(path: string): Lock {
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Lock) : { packages: {} };
}

/** @returns the packages that are missing, or have another version; optional ones may be missing, such as those of other machines */
export function moduleDifferences(wanted: Lock, installed: Lock): string[] {
  return Object.entries(wanted.packages).flatMap(([path, { version, dev, optional, devOptional }]) => {
    if (path === '' || dev || devOptional) return [];
    const there = installed.packages[path];
    if (!there) return optional ? [] : [`${path} is missing`];
    return there.version === version ? [] : [`${path} is ${there.version}, not ${version}`];
  });
}
