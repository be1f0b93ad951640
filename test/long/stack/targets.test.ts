import { test } from 'uvu';
import { compare } from '../../stack/lib/compared.ts';
import { withReaders } from '../../stack/lib/two-readers.ts';
import { createRandom } from '../../support/core/random.ts';

test('of 10,000 targets none reaches a route of Express by the rules of another', () => {
  const random = createRandom();
  console.log(`» seed ${random.seed}`);
  return withReaders(async readers => {
    for (const reader of readers) await compare(reader, random, 10_000);
  });
});

test.run();
