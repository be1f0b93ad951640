/** Each hard schema gets another owner without any other change, and a backup of it by the role of backups comes back. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isDone, readRoleChanges } from '../../../scripts/lib/postgres/role-changes.ts';
import { configOf } from '../../support/backup/old-backups.ts';
import { makeBackup, restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import { contentOf } from '../../support/postgres/compare.ts';
import { contentAlone, ENV, giveRolesHere, ownersLeft } from '../../support/postgres/roles.ts';
import {
  createRoles,
  dropAll,
  runScript,
  SCHEMAS,
  sectionsOf,
  statementsOf,
} from '../../support/postgres/schemas.ts';

const { inTurn, stop } = await createTurns();

/** Their backups need a superuser: subscriptions, and options of user mappings. */
const NOT_BACKED_UP = ['foreign', 'replication'];

for (const schema of SCHEMAS)
  test(`${schema}: another owner, the same content`, () =>
    inTurn(async world => {
      await createRoles(world);
      for (const part of ['owner', 'superuser'] as const) await runScript(world, statementsOf(schema, part));
      const before = await contentOf(world);
      try {
        await giveRolesHere(world);
        const after = await contentOf(world);
        assert.equal(contentAlone(after), contentAlone(before));
        const config = configOf(world, ENV);
        const left = await readRoleChanges(config.postgres, 'app', config.roles);
        assert.ok(isDone(left), JSON.stringify(left));
        const triggers = await world.rows<{ name: string }>(
          `SELECT DISTINCT 'function ' || replace(evtfoid::regprocedure::text, 'public.', '') AS name FROM pg_event_trigger`,
        );
        assert.equal(
          (await ownersLeft(world)).filter(name => !triggers.some(each => each.name === name)),
          [],
        );
        if (NOT_BACKED_UP.includes(schema)) return;
        const { id } = await makeBackup(world, { upload: false }, ENV);
        await restoreHere(world, id, { database: 'copy' }, ENV);
        assert.equal(await sectionsOf(world, 'copy'), await sectionsOf(world));
      } finally {
        await dropAll(world); // with its subscriptions
      }
    }));

test.after(stop);
test.run();
