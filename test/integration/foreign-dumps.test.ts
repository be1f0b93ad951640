/** Dumps of any origin: what is not restored as it is says the command that converts it. */
import { test } from 'uvu';
import { createTurns } from '../support/core/turns.ts';
import { assertConverts, FORMS } from '../support/restore/foreign-dumps.ts';

const { inTurn, stop } = await createTurns();

/** One of each format and compression. */
const SOME = [
  'custom',
  'custom in zstd',
  'tar in gzip',
  'directory',
  'plain, named as one in gzip',
  'plain in zstd',
];

/** All: test/long/integration/foreign-dumps.test.ts. */
test('the command that converts a dump makes one that restores', () =>
  inTurn(world =>
    assertConverts(
      world,
      FORMS.filter(([what]) => SOME.includes(what)),
    ),
  ));

test('the servers stop', stop);

test.run();
