/* The volume with the certificate, as a directory here: what each step leaves, and a kill after each command. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  copyPair,
  pairOf,
  removeOthers,
  switchBack,
  switchTo,
} from '../../scripts/lib/certificates/volume.ts';

const scratch = mkdtempSync(join(tmpdir(), 'certificates-'));
process.once('exit', () => rmSync(scratch, { recursive: true }));

let count = 0;
const directoryWith = (fill: (directory: string) => void = () => {}) => {
  const directory = join(scratch, `${++count}`);
  mkdirSync(directory);
  fill(directory);
  return directory;
};
const sh = (script: string) => execFileSync('sh', ['-c', script], { encoding: 'utf8' });
/** A pair of files; those of one belong together. */
const files = (directory: string, name: string) => {
  writeFileSync(join(directory, 'fullchain.pem'), `chain ${name}`);
  writeFileSync(join(directory, 'privkey.pem'), `key ${name}`);
};
const source = (name: string) => directoryWith(directory => files(directory, name));
/** Both files as Nginx reads them: the name of the pair. */
function served(directory: string): string {
  const [chain, key] = ['fullchain.pem', 'privkey.pem'].map(file =>
    readFileSync(join(directory, file), 'utf8'),
  );
  assert.is(chain!.replace('chain', 'key'), key, 'certificate and key do not belong together');
  return chain!.replace('chain ', '');
}
const pairs = (directory: string) => readdirSync(directory).filter(name => name.startsWith('pair-')).length;
const copy = (name: string, directory: string) =>
  sh(copyPair(source(name), directory, pairOf(`chain ${name}`)));
const install = (name: string, directory: string) => {
  copy(name, directory);
  sh(switchTo(directory, pairOf(`chain ${name}`)));
};

test('the two files of a new server become a pair, which can be put back', () => {
  const directory = directoryWith(each => files(each, 'temporary'));
  install('one', directory);
  assert.is(served(directory), 'one');
  assert.match(sh(switchBack(directory)), /^pair-\w{32}\n$/);
  assert.is(served(directory), 'temporary');
});

test('the volume keeps the pair in place and the one before; putting back twice changes nothing more', () => {
  const directory = directoryWith();
  for (const name of ['one', 'two', 'three', 'three']) {
    install(name, directory);
    assert.is(served(directory), name);
  }
  sh(removeOthers(directory));
  assert.is(pairs(directory), 2);
  for (let i = 0; i < 2; i++) {
    sh(switchBack(directory));
    assert.is(served(directory), 'two');
  }
  sh(removeOthers(directory));
  assert.is(pairs(directory), 1);
  install('three', directory);
  assert.is(served(directory), 'three');
});

test('with nothing before there is nothing to put back', () => {
  const directory = directoryWith();
  install('one', directory);
  assert.is(sh(switchBack(directory)), '');
  assert.is(served(directory), 'one');
});

test('two files that an operator copies over the links are a pair of their own', () => {
  const directory = directoryWith();
  install('one', directory);
  for (const file of ['fullchain.pem', 'privkey.pem']) rmSync(join(directory, file));
  files(directory, 'own');
  install('two', directory);
  assert.is(served(directory), 'two');
  sh(switchBack(directory));
  assert.is(served(directory), 'own');
});

test('files can be read by their owner alone', () => {
  const directory = directoryWith();
  install('one', directory);
  assert.is(sh(`find ${directory}/pair-* -perm /077`), '');
});

test('a pair that is not whole is not put in place', () => {
  const directory = directoryWith();
  install('one', directory);
  const pair = pairOf('chain two');
  for (const remains of [[], ['fullchain.pem'], ['privkey.pem']]) {
    mkdirSync(join(directory, pair));
    for (const file of remains) writeFileSync(join(directory, pair, file), 'half');
    assert.throws(() => sh(switchTo(directory, pair)));
    assert.is(served(directory), 'one');
    rmSync(join(directory, pair), { recursive: true });
  }
  assert.throws(() => sh(copyPair(join(scratch, 'nowhere'), directory, pair)));
  assert.not(existsSync(join(directory, pair)));
});

/** Runs a script that is killed before its nth change. @returns whether it came to its end */
function killedAt(script: string, change: number): boolean {
  const gate = ['rm', 'ln', 'mv', 'mkdir', 'cp', 'cat', 'sync']
    .map(name => `${name}() { n=$((n + 1)); [ $n -lt ${change} ] || kill -9 $$; command ${name} "$@"; }`)
    .join('\n');
  return spawnSync('sh', ['-c', `n=0\n${gate}\n${script}`]).signal !== 'SIGKILL';
}

/** Each cut of a script leaves one of these, and the same script run again the last. */
function survives(
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
    sh(script(directory));
    assert.is(served(directory), states.at(-1), `repeated after a cut before change ${change}`);
    sh(removeOthers(directory));
    assert.is(served(directory), states.at(-1));
    assert.equal(
      readdirSync(directory).filter(name => /partial|new/.test(name)),
      [],
    );
    if (ended) return change;
  }
}

test('killed at any change: the old pair or the new one, never half of each, and repeating it ends well', () => {
  const two = pairOf('chain two');
  const first = (directory: string) => {
    files(directory, 'one');
    copy('two', directory);
  };
  assert.ok(survives(first, each => switchTo(each, two), ['one', 'two']) > 15);
  const later = (directory: string) => {
    install('zero', directory);
    install('one', directory);
    copy('two', directory);
  };
  survives(later, each => switchTo(each, two), ['one', 'two']);
  const copied = source('three');
  survives(later, each => copyPair(copied, each, pairOf('chain three')), ['one']);
  survives(later, switchBack, ['one', 'zero']);
  survives(later, removeOthers, ['one']);
});

test.run();
