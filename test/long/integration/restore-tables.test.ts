import { test } from 'uvu';
import { createTurns } from '../../support/core/turns.ts';
import { assertTablesReturn } from '../../support/restore/tables.ts';

const { inTurn, stop } = await createTurns();

for (const format of ['plain', 'custom'] as const)
  test(`${format}: the tables as they were, and the rows that are brought back; nothing else changes`, () =>
    inTurn(world => assertTablesReturn(world, format)));

test('the servers stop', stop);

test.run();
