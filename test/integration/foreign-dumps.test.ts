/** Dumps of any origin: what is not restored as it is says the command that converts it. */
import { test } from 'uvu';
import { createTurns } from '../support/core/turns.ts';
import { assertConverts, FORMS } from '../support/restore/foreign-dumps.ts';

const { inTurn, stop } = await createTurns({ env: { S3_BUCKET: '' } });

/** One of each way in which it is converted. */
const SOME = ['tar in gzip', 'directory', 'plain in zstd'];

/** All, with each name: test/long/integration/foreign-dumps.test.ts. */
test('the command that converts a dump makes one that restores', () =>
  inTurn(world =>
    assertConverts(
      world,
      FORMS.filter(([what]) => SOME.includes(what)),
    ),
  ));

test('the servers stop', stop);

test.run();
