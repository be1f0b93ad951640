/** One hard schema of many, and in one format: test/long/integration/hard-schemas.test.ts. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { captured } from '../support/core/here.ts';
import { makeBackup, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import { createRoles, dropAll, runScript, sectionsOf, statementsOf } from '../support/postgres/schemas.ts';

const { inTurn, stop } = await createTurns({ env: { S3_BUCKET: '' } }); // what is off-site is no part of this

test('a database whose event triggers write, with publications, subscriptions and filled views, comes back the same', () =>
  inTurn(async world => {
    await createRoles(world);
    for (const part of ['owner', 'superuser'] as const)
      await runScript(world, statementsOf('replication', part));
    await world.sql(`CREATE MATERIALIZED VIEW parent AS SELECT id FROM team; CREATE VIEW between AS SELECT id FROM parent;
      CREATE MATERIALIZED VIEW child AS SELECT id FROM between; REFRESH MATERIALIZED VIEW parent WITH NO DATA`);
    try {
      const before = await sectionsOf(world);
      const { id, warnings } = await makeBackup(world);
      assert.match(
        warnings.join(),
        /^materialized view public\.child has rows, but one that it reads has none/,
      );
      const { error, stderr } = await captured(() => restoreHere(world, id));
      assert.is(error, '', stderr);
      assert.equal(await sectionsOf(world), before);
    } finally {
      await dropAll(world);
    }
  }));

test('the servers stop', stop);

test.run();
