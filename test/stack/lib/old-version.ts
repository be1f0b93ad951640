/** A server that runs version 0.1.0 of this repository, from its files in test/upgrade/stack-0.1.0, and its clone in Git. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { attempt, type Result } from '../../engine/process.ts';
import { ROOT } from './stack.ts';

const FILES = ['nginx', 'docker-compose.production.yml'];
const OLD = join(ROOT, 'test/upgrade/stack-0.1.0');
/** Nobody of this machine, and no setting of its users. */
const GIT = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'operator',
  GIT_AUTHOR_EMAIL: 'operator@acme.example',
  GIT_COMMITTER_NAME: 'operator',
  GIT_COMMITTER_EMAIL: 'operator@acme.example',
};

/** Puts a domain into the Nginx files, as an operator of 0.1.0 does. */
export function writeDomain(directory: string, domain: string): void {
  const conf = join(directory, 'nginx/production.conf');
  writeFileSync(conf, readFileSync(conf, 'utf8').replaceAll('neurmatic.com', domain));
}

/** Makes the files of a stack that is laid out those of 0.1.0: one env file with everything, and no roles. */
export function toOldVersion(directory: string, domain: string): void {
  for (const path of [...FILES, 'postgres']) rmSync(join(directory, path), { recursive: true });
  cpSync(OLD, directory, { recursive: true });
  writeDomain(directory, domain);
  const [env, app] = [join(directory, '.env.production'), join(directory, '.env.production.app')];
  const all = readFileSync(env, 'utf8') + readFileSync(app, 'utf8');
  writeFileSync(env, all.replaceAll(/^(DOMAIN|APP_DB_PASSWORD|BACKUP_DB_PASSWORD)=.*\n/gm, ''));
  rmSync(app);
}

export interface Clone {
  git: (...args: string[]) => Promise<Result>;
  pull: () => Promise<Result>;
}

/** @throws with what a command printed, unless it has succeeded */
export async function succeeds(result: Promise<Result>): Promise<void> {
  const { code, stdout, stderr } = await result;
  assert.is(code, 0, stdout + stderr);
}

/** Makes the directory a clone at the commit of 0.1.0; the files of today are the next commit of its origin. */
export async function cloneOf(directory: string): Promise<Clone> {
  const origin = `${directory}-origin`;
  process.once('exit', () => rmSync(origin, { recursive: true, force: true }));
  const gitIn =
    (cwd: string): Clone['git'] =>
    (...args) =>
      attempt('git', args, { cwd, env: { ...process.env, ...GIT } });
  const [there, here] = [gitIn(origin), gitIn(directory)];
  const commit = async (message: string) => {
    await succeeds(there('add', '--all'));
    await succeeds(there('commit', '-q', '-m', message));
  };
  cpSync(OLD, origin, { recursive: true });
  await succeeds(there('init', '-q', '-b', 'main'));
  await commit('0.1.0');
  await succeeds(here('init', '-q', '-b', 'main'));
  await succeeds(here('fetch', '-q', origin, 'main'));
  await succeeds(here('reset', '-q', 'FETCH_HEAD'));
  for (const path of FILES) rmSync(join(origin, path), { recursive: true });
  for (const path of [...FILES, 'postgres'])
    cpSync(join(ROOT, path), join(origin, path), { recursive: true });
  await commit('today');
  return { git: here, pull: () => here('pull', '--ff-only', '-q', origin, 'main') };
}
