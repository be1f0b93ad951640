/** restore.ts --table brings single tables into a schema of the live database, and touches nothing else. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { leftovers } from '../../scripts/lib/health/checks/leftovers.ts';
import { sweep } from '../../scripts/lib/restore/leftovers.ts';
import { parseAction } from '../../scripts/lib/restore/options.ts';
import { createUnfinished } from '../../scripts/lib/restore/unfinished-schema.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { captured } from '../support/core/here.ts';
import { refused } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import type { World } from '../support/core/world.ts';
import { databases } from '../support/postgres/compare.ts';
import { assertTablesReturn, backUpTables, bring } from '../support/restore/tables.ts';

const { inTurn, stop } = await createTurns({ env: { S3_BUCKET: '' } }); // what is off-site is no part of this

/** What is not in the backup, or not with --table, is refused before anything is loaded. */
async function assertRefused(world: World): Promise<void> {
  const wrong = await captured(() =>
    refused(
      () => bring(world, 'public.membr'),
      2,
      /the backup has no table public\.membr/,
      /similar are: public\.member\./,
    ),
  );
  assert.is(wrong.code, 0, wrong.error);
  assert.not.match(wrong.stderr, /Loading|Checking/);
  await refused(() => bring(world, 'public.member', 'shop.x'), 2, /no table shop\.x/);
  for (const flag of [{ database: 'x' }, { 'no-migrate': true }, { 'allow-small': true }])
    await refused(
      async () => parseAction('latest', { table: ['public.member'], ...flag }),
      2,
      /--table can't be combined/,
    );
  await refused(async () => parseAction(undefined, { undo: true, table: ['a.b'] }), 2, /--table/);
  const dry = await world.run('restore', ['latest', '--table', 'public.member', '--dry-run']);
  assert.is(dry.code, 0, dry.stderr);
  assert.match(dry.stdout, /dry run, nothing was changed.*"public"\."member" → schema restored_/);
  assert.equal(await databases(world), ['app']);
}

/** A type that the live database lacks is named; a label that it lacks leaves no schema behind. */
async function assertTypesLack(world: World): Promise<void> {
  const schemas = () => world.rows(`SELECT FROM pg_namespace WHERE nspname LIKE 'restored%'`);
  await world.sql('DROP TABLE member; DROP TYPE mood; DROP DOMAIN positive');
  await refused(
    () => bring(world, 'public.member'),
    1,
    /app lacks types of these tables: public\.mood, public\.mood\[\], public\.positive/,
  );
  await world.sql(`CREATE TYPE mood AS ENUM ('sad'); CREATE DOMAIN positive AS int`);
  const { code, error } = await captured(() => bring(world, 'public.member'));
  assert.is(code, 1);
  assert.match(
    error,
    /could not copy table "public"\."member": .*invalid input value for enum (public\.)?mood/,
  );
  assert.equal(await schemas(), []);
  assert.equal(await databases(world), ['app']);
}

/** In both formats: test/long/integration/restore-tables.test.ts. */
test('the tables as they were, and the rows that are brought back; nothing else changes; what the backup or the live database lacks', () =>
  inTurn(async world => {
    await backUpTables(world, 'custom');
    await assertRefused(world);
    await assertTablesReturn(world, names => bring(world, ...names));
    await assertTypesLack(world);
  }));

/** After kill -9 while rows are copied: test/long/integration/restore-tables.test.ts. */
test('a schema that a killed run left is dropped, and no other', () =>
  inTurn(async world => {
    const [done, left] = ['restored_20260101_000000', 'restored_20260102_000000'];
    await world.sql(`CREATE SCHEMA ${done}; COMMENT ON SCHEMA ${done} IS 'done'`);
    const config = configOf(world, {});
    await createUnfinished(config.postgres, left);
    await world.sql(`CREATE TABLE ${left}.item (); CREATE VIEW mine AS SELECT FROM ${left}.item`);
    assert.match((await leftovers(config).run()).message, new RegExp(`schema ${left} \\(`));
    const { stderr } = await captured(() => sweep(config, 'environment'));
    assert.match(stderr, new RegExp(`schema ${left} stays: .*other objects depend on it`));
    await world.sql('DROP VIEW mine');
    await captured(() => sweep(config, 'environment'));
    const names = await world.rows(
      `SELECT nspname::text AS name FROM pg_namespace WHERE nspname ~ '^restored'`,
    );
    assert.equal(names, [{ name: done }]);
  }));

test('the servers stop', stop);

test.run();
