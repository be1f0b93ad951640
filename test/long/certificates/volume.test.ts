/* Each step on the volume with the certificate, cut after any change. */
import { test } from 'uvu';
import {
  copyPair,
  pairOf,
  removeOthers,
  switchBack,
  switchTo,
} from '../../../scripts/lib/certificates/volume.ts';
import { copy, install, source, survives } from '../../support/certificates/volume.ts';

const later = (directory: string) => {
  install('zero', directory);
  install('one', directory);
  copy('two', directory);
};

test('the switch to a later pair, killed at any change', () => {
  survives(later, each => switchTo(each, pairOf('chain two')), ['one', 'two']);
});

test('the copy of a pair, killed at any change', () => {
  const copied = source('three');
  survives(later, each => copyPair(copied, each, pairOf('chain three')), ['one']);
});

test('the way back, killed at any change', () => {
  survives(later, switchBack, ['one', 'zero']);
});

test('the removal of earlier pairs, killed at any change', () => {
  survives(later, removeOthers, ['one']);
});

test.run();
