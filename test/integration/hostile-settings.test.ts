import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { configOf } from '../support/backup/old-backups.ts';
import { makeBackup, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import { assertUnlimited, contentOf, underHostileSettings } from '../support/postgres/hostile-settings.ts';

const { inTurn, stop } = await createTurns({ env: { S3_BUCKET: '' } }); // what is off-site is no part of this

/** Also a backup in the other format, a drill, the way back, and a copy beside: test/long/integration/hostile-settings.test.ts. */
test('no variable, setting of the role or setting of the database changes what the scripts do', () =>
  inTurn(plain =>
    underHostileSettings(plain, async ({ world, hostile }) => {
      await assertUnlimited(configOf(world, {}).postgres);
      const backup = await makeBackup(world, { format: 'plain', upload: false });
      assert.equal(
        backup.tables.map(({ name, rows }) => [name, rows]),
        [
          ['café', 1],
          ['hard', 1],
        ],
      );
      assert.is(backup.properties.owner, 'postgres');
      await plain.sql(`SET transaction_read_only = off; UPDATE public.hard SET note = 'harmed';
      DROP VIEW public.seen`);
      await restoreHere(world, backup.id);
      assert.equal(await contentOf(plain), hostile, 'plain');
    }),
  ));

test('the servers stop', stop);

test.run();
