import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runDrill } from '../../../scripts/lib/drill/run-drill.ts';
import { configOf } from '../../support/backup/old-backups.ts';
import { captured } from '../../support/core/here.ts';
import { makeBackup, restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import { assertLoads, backedUp, loaded } from '../../support/drill/loads.ts';

const { inTurn, stop } = await createTurns();

for (const format of ['plain', 'custom'] as const)
  test(`${format}: loads at low priority and with one connection, compares, drops, and is recorded`, () =>
    inTurn(world => assertLoads(world, format)));

test('a drill and a restore count as well', () =>
  inTurn(async world => {
    const { id } = await backedUp(world);
    await restoreHere(world, 'latest', { database: 'beside' });
    const { id: stored } = await makeBackup(world, {});
    const drilled = await captured(() => runDrill(configOf(world, {})));
    assert.is(drilled.code, 0, drilled.stderr);
    assert.equal(
      loaded(world).map(({ id, place }) => [id, place]),
      [
        [id, 'local'],
        [stored, 's3'],
      ],
    );
  }));

test('the servers stop', stop);

test.run();
