import { test } from 'uvu';
import { createTurns } from '../support/core/turns.ts';
import { countsWhileWriting, dumpedSides, hardSchema, icu, latin1 } from '../support/postgres/fidelity.ts';

const { inTurn, stop } = await createTurns({ env: { S3_BUCKET: '' } }); // what is off-site is no part of this

/** In both formats: test/long/integration/fidelity.test.ts. */
test('a schema of everything that is hard to dump comes back the same, with owners and privileges', () =>
  inTurn(world => hardSchema(world, ['plain'])));

/** After the way back and on a server without it, too: test/long/integration/fidelity.test.ts. */
test('an ICU database keeps owner, locale, limit, settings, privileges and comment', () => inTurn(icu));

/** In the other formats: test/long/integration/fidelity.test.ts. */
test('a database of another encoding, with names that only it can spell', () =>
  inTurn(world => latin1(world, ['custom'])));

test('the manifest counts exactly what was dumped while clients write', () =>
  inTurn(world => countsWhileWriting(world, ['plain'], dumpedSides)));

test('the servers stop', stop);

test.run();
