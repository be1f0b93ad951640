import { test } from 'uvu';
import { createTurns } from '../support/core/turns.ts';
import { countsWhileWriting, dumpedSides, hardSchema } from '../support/postgres/fidelity.ts';

const { inTurn, stop } = await createTurns({ env: { S3_BUCKET: '' } }); // what is off-site is no part of this

/**
 * In both formats, and in place of the live database; a database of ICU, one of another encoding, and one whose event
 * triggers write: test/long/integration/fidelity.test.ts.
 */
test('a schema of everything that is hard to dump comes back the same, with owners and privileges', () =>
  inTurn(world => hardSchema(world, ['plain'], 'copy')));

test('the manifest counts exactly what was dumped while clients write', () =>
  inTurn(world => countsWhileWriting(world, ['plain'], dumpedSides)));

test('the servers stop', stop);

test.run();
