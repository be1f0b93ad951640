import { test } from 'uvu';
import { createTurns } from '../../support/core/turns.ts';
import { foreignDumps, manyRoles, olderBackups } from '../../support/restore/owners.ts';

const { inTurn, stop } = await createTurns();

test('a server without the roles: owners and privileges of roles with every kind of name, in both formats', () =>
  inTurn(world => manyRoles(world, ['custom', 'plain'])));

test('backups of before, without privileges and without a list of what they need', () =>
  inTurn(world => olderBackups(world, ['plain', 'custom'])));

test('dumps of another origin, with owners that are missing here', () =>
  inTurn(world => foreignDumps(world, ['', '--inserts', '--clean --if-exists', '--column-inserts'])));

test('the servers stop', stop);

test.run();
