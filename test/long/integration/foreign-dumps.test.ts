import { test } from 'uvu';
import { createTurns } from '../../support/core/turns.ts';
import { assertConverts, FORMS } from '../../support/restore/foreign-dumps.ts';

const { inTurn, stop } = await createTurns();

test('the command that converts a dump makes one that restores, of each format, compression and name', () =>
  inTurn(world => assertConverts(world, FORMS)));

test('the servers stop', stop);

test.run();
