import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeBackup, restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import { contentOf } from '../../support/postgres/compare.ts';
import { createAll, dropAll, rolesOf } from '../../support/restore/new-server.ts';

const { inTurn, stop } = await createTurns();

test('a new server whose container has made the database, empty: roles and content come from the backup', () =>
  inTurn(async world => {
    await createAll(world);
    const before = [await contentOf(world), await rolesOf(world)];
    const backup = await makeBackup(world);
    await dropAll(world);
    await world.sql('CREATE DATABASE app', 'postgres');
    const { kept } = await restoreHere(world, backup.id);
    assert.ok(kept);
    assert.equal([await contentOf(world), await rolesOf(world)], before);
  }));

test('the servers stop', stop);

test.run();
