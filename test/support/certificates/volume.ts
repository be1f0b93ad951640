/** The volume of certificates as a directory here, and its scripts cut after any change. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { copyPair, pairOf, removeOthers, switchTo } from '../../../scripts/lib/certificates/volume.ts';

export const scratch = mkdtempSync(join(tmpdir(), 'certificates-'));
process.once('exit', () => rmSync(scratch, { recursive: true }));

let count = 0;
export const directoryWith = (fill: (directory: string) => void = () => {}) => {
  const directory = join(scratch, `${++count}`);
  mkdirSync(directory);
  fill(directory);
  return directory;
};
export const sh = (script: string) => execFileSync('sh', ['-c', script], { encoding: 'utf8' });
/** A pair of files; those of one belong together. */
export const files = (directory: string, name: string) => {
  writeFileSync(join(directory, 'fullchain.pem'), `chain ${name}`);
  writeFileSync(join(directory, 'privkey.pem'), `key ${name}`);
};
export const source = (name: string) => directoryWith(directory => files(directory, name));
/** Both files as Nginx reads them: the name of the pair. */
export function served(directory: string): string {
  const [chain, key] = ['fullchain.pem', 'privkey.pem'].map(file =>
    readFileSync(join(directory, file), 'utf8'),
  );
  assert.is(chain!.replace('chain', 'key'), key, 'certificate and key do not belong together');
  return chain!.replace('chain ', '');
}
export const pairs = (directory: string) =>
  readdirSync(directory).filter(name => name.startsWith('pair-')).length;
export const copy = (name: string, directory: string) =>
  sh(copyPair(source(name), directory, pairOf(`chain ${name}`)));
export const install = (name: string, directory: string) => {
  copy(name, directory);
  sh(switchTo(directory, pairOf(`chain ${name}`)));
};

/** Runs a script that is killed before its nth change. @returns whether it came to its end */
function killedAt(script: string, change: number): boolean {
  const gate = ['rm', 'ln', 'mv', 'mkdir', 'cp', 'cat', 'sync']
    .map(name => `${name}() { n=$((n + 1)); [ $n -lt ${change} ] || kill -9 $$; command ${name} "$@"; }`)
    .join('\n');
  return spawnSync('sh', ['-c', `n=0\n${gate}\n${script}`]).signal !== 'SIGKILL';
}

/** Each cut of a script leaves one of these, and the same script run again the last. */
export function survives(
  begin: (directory: string) => void,
  script: (directory: string) => string,
  states: string[],
): number {
  const before = directoryWith(begin);
  for (let change = 1; ; change++) {
    const directory = join(scratch, `${++count}`);
    cpSync(before, directory, { recursive: true, verbatimSymlinks: true });
    const ended = killedAt(script(directory), change);
    assert.ok(states.includes(served(directory)), `cut before change ${change}: ${served(directory)}`);
    sh(`${script(directory)}\n${removeOthers(directory)}`);
    assert.is(served(directory), states.at(-1), `repeated after a cut before change ${change}`);
    assert.equal(
      readdirSync(directory).filter(name => /partial|new/.test(name)),
      [],
    );
    if (ended) return change;
  }
}
