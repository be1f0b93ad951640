/* The volume with the certificate, as a directory here: what each step leaves. Cuts of the other steps: test/long/. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
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
import {
  copy,
  directoryWith,
  files,
  install,
  pairs,
  scratch,
  served,
  sh,
  survives,
} from '../support/certificates/volume.ts';

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

test('killed at any change: the old pair or the new one, never half of each, and repeating it ends well', () => {
  const first = (directory: string) => {
    files(directory, 'one');
    copy('two', directory);
  };
  assert.ok(survives(first, each => switchTo(each, pairOf('chain two')), ['one', 'two']) > 15);
});

test.run();
