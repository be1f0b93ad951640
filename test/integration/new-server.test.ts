import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findSource } from '../../scripts/lib/backup/find.ts';
import { configOf, plant } from '../support/backup/old-backups.ts';
import { begin } from '../support/core/expect.ts';
import { captured } from '../support/core/here.ts';
import { makeBackup, refused, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import { contentOf, propertiesOf } from '../support/postgres/compare.ts';
import { createAll, dropAll, rolesOf } from '../support/restore/new-server.ts';

const { inTurn, stop } = await createTurns();

/** Where the database is there already: test/long/integration/new-server.test.ts. */
test('a new server: roles, database and its properties come from the backup', () =>
  inTurn(async world => {
    await createAll(world);
    const before = [await contentOf(world), await propertiesOf(world), await rolesOf(world)];
    await makeBackup(world);
    await dropAll(world);
    const { value: bare, stderr } = await captured(() => restoreHere(world, 'latest', { from: 's3' }));
    assert.equal([bare?.kept, bare?.safetyBackup], [null, null], stderr);
    assert.match(stderr, /created .*"App, User".*without passwords/);
    assert.equal([await contentOf(world), await propertiesOf(world), await rolesOf(world)], before);
    const passwords = await world.rows(
      `SELECT FROM pg_authid WHERE rolpassword IS NOT NULL AND rolname <> 'postgres'`,
    );
    assert.is(passwords.length, 0, 'no password comes from a backup');
  }));

/** A user who is no superuser: owners.test.ts, test/long/integration/new-server.test.ts. */
test('latest is the newest of both places', () =>
  inTurn(async world => {
    await begin(world, 'one');
    const both = await makeBackup(world);
    const local = await plant(world.env.BACKUP_DIR!, both.id, { days: -0.01 });
    const latest = async (from?: 'local' | 's3', env = {}) =>
      (await findSource(configOf(world, env), 'latest', from)).name;
    assert.is(await latest(), local.id);
    assert.is(await latest('local'), local.id);
    assert.is(await latest('s3'), both.id);
    const elsewhere = { BACKUP_DIR: join(world.directory, 'new server') };
    assert.is(await latest(undefined, elsewhere), both.id);
    await refused(
      () => restoreHere(world, local.id, {}, elsewhere),
      3,
      new RegExp(`there is no verified backup ${local.id}`),
    );
    await refused(
      () => restoreHere(world, 'latest', { from: 's3' }, { S3_BUCKET: '' }),
      2,
      /S3_BUCKET is empty/,
    );
  }));

test('the servers stop', stop);

test.run();
