import { test } from 'uvu';
import { createTurns } from '../../support/core/turns.ts';
import { assertLoads } from '../../support/drill/loads.ts';

const { inTurn, stop } = await createTurns();

for (const format of ['plain', 'custom'] as const)
  test(`${format}: loads at low priority and with one connection, compares, drops, and is recorded`, () =>
    inTurn(world => assertLoads(world, format)));

test('the servers stop', stop);

test.run();
