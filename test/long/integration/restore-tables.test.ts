import { test } from 'uvu';
import { succeed } from '../../support/core/expect.ts';
import { createTurns } from '../../support/core/turns.ts';
import { assertTablesReturn, backUpTables } from '../../support/restore/tables.ts';

const { inTurn, stop } = await createTurns();

for (const format of ['plain', 'custom'] as const)
  test(`${format}: the tables as they were, and the rows that are brought back; nothing else changes`, () =>
    inTurn(async world => {
      await backUpTables(world, format);
      await assertTablesReturn(world, names =>
        succeed(world, 'restore', 'latest', ...names.flatMap(name => ['--table', name]), '--yes'),
      );
    }));

test('the servers stop', stop);

test.run();
