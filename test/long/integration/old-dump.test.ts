import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { begin, change, stateOf } from '../../support/core/expect.ts';
import { restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import { program } from '../../support/postgres/compare.ts';

const { inTurn, stop } = await createTurns();

test('a plain dump without a manifest, under an old name and without owners', () =>
  inTurn(async world => {
    await begin(world);
    const file = join(world.directory, 'neurmatic_20250106_020000.sql.gz');
    await program(world, 'bash', '-c', 'pg_dump app --no-owner --no-acl | gzip -9 > "$0"', file);
    await change(world, 'changed');
    const { kept } = await restoreHere(world, file);
    assert.equal([await stateOf(world), await stateOf(world, kept!)], ['backed up', 'changed']);
  }));

test('the servers stop', stop);

test.run();
