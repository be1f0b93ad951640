/**
 * The product's own files for the order of a deployment's steps, loaded into this process from a copy, with what they
 * run, wait for and ask replaced by what `standIns` holds at the moment.
 */
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from '../../../scripts/lib/config/config.ts';

/** What takes the place of exports of the product's files, by file. Set again for each run; the product asks through it. */
export const standIns: Record<string, Record<string, unknown>> = {};
const REPLACED: Record<string, { names: string[]; rest: boolean }> = {
  'lib/core/shell.ts': { names: ['run', 'start', 'sh'], rest: true },
  'lib/core/signals.ts': { names: ['sleep'], rest: true },
  'lib/core/log.ts': { names: ['log'], rest: true },
  'lib/core/files.ts': { names: ['writeWhole', 'sync'], rest: true },
  'lib/core/operator-file.ts': { names: ['rewrite'], rest: true },
  'lib/deploy/canary.ts': { names: ['startCanary'], rest: false },
  'lib/health/all-checks.ts': { names: ['criticalChecks'], rest: false },
  'lib/migrations/pending.ts': { names: ['pendingMigrations'], rest: false },
  'lib/migrations/run.ts': { names: ['migrate'], rest: false },
  'lib/nginx/access-log.ts': { names: ['readVisits'], rest: false },
  'lib/backup/run-backup.ts': { names: ['backUp'], rest: false },
  'lib/backup/find.ts': { names: ['findSource'], rest: false },
  'lib/restore/foreign.ts': { names: ['foreignness'], rest: false },
  'lib/restore/small-result.ts': { names: ['confirmSmall'], rest: false },
  'lib/restore/run-restore.ts': { names: ['runRestore'], rest: false },
  'lib/restore/replication.ts': { names: ['replaceLive'], rest: false },
  'lib/restore/swap.ts': { names: ['dropLeftovers'], rest: false },
  'lib/postgres/second-login.ts': {
    names: ['makeSecondLogin', 'takesPassword', 'setPassword', 'dropSecondLogin'],
    rest: true,
  },
  'lib/postgres/server.ts': { names: ['serverFacts'], rest: false },
  'lib/secrets/redis-passwords.ts': {
    names: ['addPassword', 'keepOnlyPassword', 'refuseForgetful'],
    rest: false,
  },
  'lib/postgres/databases.ts': {
    names: ['oidOf', 'databaseOf', 'siblingDatabases', 'siblingName'],
    rest: false,
  },
};

// In memory, where there is a disk of it: there are tens of thousands of lists and journals to be written.
/** Where the copy is. */
export const root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'deployment-'));
process.once('exit', () => rmSync(root, { recursive: true, force: true }));
for (const path of ['scripts', 'nginx', 'package.json'])
  cpSync(join(ROOT, path), join(root, path), { recursive: true });
symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
const urlOf = (path: string) => pathToFileURL(join(root, 'scripts', path)).href;

Object.assign(globalThis, { deploymentStandIns: standIns });
registerHooks({
  load(url, context, next) {
    const path = Object.keys(REPLACED).find(each => urlOf(each) === url);
    if (!path) return next(url, context);
    const { names, rest } = REPLACED[path]!;
    const exports = names.map(
      name =>
        `export const ${name} = (...args) => globalThis.deploymentStandIns['${path}'].${name}(...args);`,
    );
    if (path === 'lib/core/log.ts')
      exports[0] = `export const log = globalThis.deploymentStandIns['${path}'].log;`;
    if (rest) exports.push(`export * from ${JSON.stringify(`${url}?real`)};`);
    return { format: 'module', shortCircuit: true, source: exports.join('\n') };
  },
});

const { now } = performance;
let slept = 0;
/** The product's own clock: what it sleeps goes by on it at once. */
performance.now = () => now.call(performance) + slept * 1000;
export const pass = (seconds: number): void => {
  slept += seconds;
};

/** What was logged. */
export const lines: string[] = [];
const note = (text: string) => lines.push(text);
standIns['lib/core/log.ts'] = {
  log: { info: note, done: note, warn: note, error: note, status() {}, changesBegin() {} },
};

const load = (path: string) => import(urlOf(path));
/** @returns a file of the copy, by its path below scripts/ */
export const importCopy = <T>(path: string): Promise<T> => load(path);
standIns['lib/core/signals.ts'] = {};
standIns['lib/core/shell.ts'] = {};
export const { CommandError } = (await load(
  'lib/core/shell.ts',
)) as typeof import('../../../scripts/lib/core/shell.ts');
export const interrupt = (await load(
  'lib/core/signals.ts',
)) as typeof import('../../../scripts/lib/core/signals.ts');
export const { loadConfig } = (await load(
  'lib/config/config.ts',
)) as typeof import('../../../scripts/lib/config/config.ts');
export const journals = (await load(
  'lib/deploy/journal.ts',
)) as typeof import('../../../scripts/lib/deploy/journal.ts');
export const deployment = (await load(
  'lib/deploy/run-deploy.ts',
)) as typeof import('../../../scripts/lib/deploy/run-deploy.ts');
export const { confirmed } = (await load(
  'lib/health/confirm.ts',
)) as typeof import('../../../scripts/lib/health/confirm.ts');
