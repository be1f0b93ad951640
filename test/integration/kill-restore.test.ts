import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { oidOf } from '../../scripts/lib/postgres/databases.ts';
import { createFaultedWorld } from '../support/backup/faulted.ts';
import { betweenTheRenames } from '../support/restore/restore-faults.ts';

const world = await createFaultedWorld();
world.env.S3_BUCKET = ''; // what is off-site is no part of this
const { oldOrNew } = world;

const plain = await world.backUp('plain');

/** While loading: leftovers.test.ts. At every other step, by SIGTERM, and with PostgreSQL itself killed: test/long/integration/kill-restore.test.ts. */
test('kill -9 of the backend between the two renames: the live database is as it was', async () => {
  const fault = (_: unknown, backend: number) => process.kill(backend, 'SIGKILL');
  const { code, stderr, live } = await betweenTheRenames(world, plain, fault);
  assert.is(code, 1, stderr);
  assert.match(stderr, /could not rename app_new_\d+_\d+ to app/);
  assert.is(await oidOf(world.pg.postgres, world.database), live);
  assert.is(await oldOrNew(), 'old');
});

test('the servers stop', world.stop);

test.run();
