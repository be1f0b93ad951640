import { test } from 'uvu';
import { createTurns } from '../../support/core/turns.ts';
import {
  countsWhileWriting,
  hardSchema,
  icuEverywhere,
  icuOfAnotherEncoding,
  latin1,
  restoredSides,
} from '../../support/postgres/fidelity.ts';
import { triggersThatWrite } from '../../support/postgres/schemas.ts';

const { inTurn, stop } = await createTurns();

test('a schema of everything that is hard to dump comes back the same in both formats, with owners and privileges', () =>
  inTurn(world => hardSchema(world, ['plain', 'custom'])));

test('a database of another encoding, with names that only it can spell, in both formats', () =>
  inTurn(world => latin1(world, ['plain', 'custom'])));

test('the manifest counts exactly what was dumped while clients write, in both formats', () =>
  inTurn(world => countsWhileWriting(world, ['plain', 'custom'], restoredSides)));

test('an ICU database keeps owner, locale, limit, settings, privileges and comment', () =>
  inTurn(icuEverywhere));

test('an ICU database of another encoding keeps owner, locale, limit, settings, privileges, comment and names', () =>
  inTurn(world => icuOfAnotherEncoding(world, false)));

test('an ICU database of another encoding that is lost comes back with all of that', () =>
  inTurn(world => icuOfAnotherEncoding(world, true)));

/** Many more, in both formats: hard-schemas.test.ts. */
test('a database whose event triggers write, with publications, subscriptions and filled views, comes back the same', () =>
  inTurn(triggersThatWrite));

test('the servers stop', stop);

test.run();
