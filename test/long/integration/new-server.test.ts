import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { change, stateOf } from '../../support/core/expect.ts';
import { makeBackup, restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import { contentOf, program, propertiesOf } from '../../support/postgres/compare.ts';
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

test('a user who is no superuser can back up and restore', () =>
  inTurn(async world => {
    const password = 'managed';
    await world.sql(`CREATE ROLE manager LOGIN CREATEDB CREATEROLE PASSWORD '${password}'`, 'postgres');
    await world.sql('ALTER DATABASE app OWNER TO manager; GRANT pg_signal_backend TO manager', 'postgres');
    Object.assign(world.env, { POSTGRES_USER: 'manager', POSTGRES_PASSWORD: password });
    await program(
      world,
      'psql',
      '-qX',
      '-vON_ERROR_STOP=1',
      '-dapp',
      `-c CREATE TABLE state AS SELECT 'backed up' AS name;
      CREATE ROLE watcher; CREATE TABLE secrets (); ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
      CREATE POLICY seen ON secrets TO watcher USING (true); COMMENT ON DATABASE app IS 'managed'`,
    );
    const before = [await contentOf(world), await propertiesOf(world)];
    await makeBackup(world, { format: 'custom' });
    await change(world, 'changed');
    const { kept } = await restoreHere(world, 'latest');
    assert.ok(kept);
    assert.equal([await contentOf(world), await propertiesOf(world)], before);
    assert.is(await stateOf(world, kept), 'changed');
    await restoreHere(world, undefined, { finish: true });
    for (const statement of ['DROP DATABASE app', 'DROP ROLE watcher'])
      await world.sql(statement, 'postgres');
    await restoreHere(world, 'latest');
    assert.equal([await contentOf(world), await propertiesOf(world)], before);
  }));

test('the servers stop', stop);

test.run();
