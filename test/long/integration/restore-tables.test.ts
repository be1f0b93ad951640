import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { leftovers } from '../../../scripts/lib/health/checks/leftovers.ts';
import { sweep } from '../../../scripts/lib/restore/leftovers.ts';
import { gateAt, untilNoProcess } from '../../support/backup/faults.ts';
import { configOf } from '../../support/backup/old-backups.ts';
import { succeed } from '../../support/core/expect.ts';
import { captured } from '../../support/core/here.ts';
import { makeBackup } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import { databases } from '../../support/postgres/compare.ts';
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

test('kill -9 while rows are copied: the next run drops the schema, and no other', () =>
  inTurn(async world => {
    await world.sql(`CREATE TABLE item AS SELECT 1 AS i;
      CREATE SCHEMA restored_20260101_000000; COMMENT ON SCHEMA restored_20260101_000000 IS 'done';
      CREATE TABLE restored_20260101_000000.item (i int)`);
    await makeBackup(world, { upload: false });
    const schemas = async () =>
      (
        await world.rows<{ name: string }>(
          `SELECT nspname AS name FROM pg_namespace WHERE nspname LIKE 'restored%' ORDER BY 1`,
        )
      ).map(({ name }) => name);
    const gate = gateAt(world, { program: 'psql', args: 'FROM STDIN', input: 1 });
    const restore = world.start('restore', ['latest', '--table', 'public.item', '--yes'], gate.env);
    await gate.reached();
    restore.child.kill('SIGKILL');
    await restore.ended;
    await untilNoProcess(world);
    const [, left] = await schemas();
    const config = configOf(world, {});
    const now = Date.now;
    Date.now = () => now() + 2 * 86_400_000;
    try {
      const { message } = await leftovers(config).run();
      assert.match(message, new RegExp(`schema ${left} \\(2 d`));
    } finally {
      Date.now = now;
    }
    await world.sql(`CREATE VIEW mine AS SELECT * FROM ${left}.item`);
    const { stderr } = await captured(() => sweep(config, 'environment'));
    assert.match(stderr, new RegExp(`schema ${left} stays: .*other objects depend on it`));
    await world.sql('DROP VIEW mine');
    const next = await captured(() => sweep(config, 'environment'));
    assert.match(next.stderr, new RegExp(`dropping schema ${left} of app, left by a run`));
    assert.equal([await schemas(), await databases(world)], [['restored_20260101_000000'], ['app']]);
  }));

test('the servers stop', stop);

test.run();
