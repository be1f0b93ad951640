import { test } from 'uvu';
import { createTurns } from '../support/core/turns.ts';
import {
  countsWhileWriting,
  dumpedSides,
  hardSchema,
  icuOfAnotherEncoding,
} from '../support/postgres/fidelity.ts';
import { triggersThatWrite } from '../support/postgres/schemas.ts';

const { inTurn, stop } = await createTurns({ env: { S3_BUCKET: '' } }); // what is off-site is no part of this

/** In both formats, and in place of the live database: test/long/integration/fidelity.test.ts. */
test('a schema of everything that is hard to dump comes back the same, with owners and privileges', () =>
  inTurn(world => hardSchema(world, ['plain'], 'copy')));

/** Each alone, in both formats, beside the live one and after the way back: test/long/integration/fidelity.test.ts. */
test('an ICU database of another encoding keeps owner, locale, limit, settings, privileges, comment and names', () =>
  inTurn(world => icuOfAnotherEncoding(world, true)));

test('the manifest counts exactly what was dumped while clients write', () =>
  inTurn(world => countsWhileWriting(world, ['plain'], dumpedSides)));

/** Many more, in both formats: test/long/integration/hard-schemas.test.ts. */
test('a database whose event triggers write, with publications, subscriptions and filled views, comes back the same', () =>
  inTurn(triggersThatWrite));

test('the servers stop', stop);

test.run();
