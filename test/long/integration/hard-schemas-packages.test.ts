/** Extensions with tables of which a dump holds rows, from Debian's packages: pg_cron and PostGIS. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runDrill } from '../../../scripts/lib/drill/run-drill.ts';
import { install, whyNoPackages } from '../../engine/apt.ts';
import { configOf } from '../../support/backup/old-backups.ts';
import { captured } from '../../support/core/here.ts';
import { finishHere, makeBackup, refused, restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import { createWorld, until, type World } from '../../support/core/world.ts';
import { databases } from '../../support/postgres/compare.ts';
import {
  comesBack,
  createRoles,
  dropAll,
  runScript,
  sectionsOf,
  statementsOf,
} from '../../support/postgres/schemas.ts';

const why = whyNoPackages();
const check = why ? test.skip : test;
if (why) console.log(`skipped: ${why}`);
else await install(['postgresql-15-cron', 'postgresql-15-postgis-3']); // 37 MB, most of a minute

async function restartWith(world: World, settings: string[]): Promise<void> {
  for (const setting of settings) await world.sql(`ALTER SYSTEM SET ${setting}`, 'postgres');
  await world.pg.halt();
  await world.pg.resume();
}

const ticks = async (world: World, database?: string) =>
  (await world.rows<{ n: number }>('SELECT count(*) AS n FROM ticks', database))[0]!.n;

check('pg_cron: a restore brings back its jobs, and those of a copy do not run', async () => {
  const world = await createWorld();
  try {
    await restartWith(world, [`shared_preload_libraries = 'pg_cron'`]);
    await restartWith(world, [`cron.database_name = 'app'`, 'cron.use_background_workers = on']);
    await world.sql(`CREATE ROLE reader; CREATE EXTENSION pg_cron; GRANT USAGE ON SCHEMA cron TO reader;
      CREATE TABLE ticks (at timestamptz DEFAULT now());
      SELECT cron.schedule('tick', '* * * * *', 'INSERT INTO public.ticks DEFAULT VALUES');
      SELECT cron.schedule('never', '0 0 31 2 *', 'SELECT 1'); SELECT cron.unschedule('never');
      INSERT INTO cron.job_run_details (jobid, runid, command, status) VALUES (1, 1000, E'two\\nlines', 'failed')`);
    for (const format of ['plain', 'custom'] as const) {
      const { id } = await makeBackup(world, { format });
      await restoreHere(world, id, { database: 'copy', from: 's3' });
      const [job] = await world.rows<{ jobname: string }>('SELECT jobname FROM cron.job', 'copy');
      assert.is(job!.jobname, 'tick');
      const before = await ticks(world, 'copy');
      const live = await ticks(world);
      if (format === 'plain') await until('the live one has run', async () => (await ticks(world)) > live);
      assert.is(await ticks(world, 'copy'), before, 'those of the copy have not');
      const drilled = await captured(() => runDrill(configOf(world, {})));
      assert.is(drilled.error, '', drilled.stderr);

      // The jobs of the dump, and one more run while it is replaced at most.
      const dump = await sectionsOf(world, 'copy');
      const { error, stderr, value } = await captured(() =>
        restoreHere(world, id, { from: 's3', 'allow-small': true }),
      );
      assert.is(error, '', stderr);
      const after = await sectionsOf(world);
      for (const section of ['pre-data', 'post-data']) assert.is(after[section], dump[section], format);
      assert.is((await world.rows('SELECT FROM cron.job')).length, 1);
      assert.match(value!.replication!.join(), /^the scheduler of pg_cron has ended with the swap/);
      await finishHere(world);
      await restartWith(world, []);
      await world.sql('DROP DATABASE copy', 'postgres');
    }
    const restored = await ticks(world);
    await until('the restored job runs', async () => (await ticks(world)) > restored);

    // A database of the name that pg_cron allows: ours of a run that was killed, or one that somebody needs.
    await world.sql('CREATE DATABASE contrib_regression', 'postgres');
    await refused(() => restoreHere(world, 'latest', { database: 'copy' }), 1, /there is such a database/);
    await world.sql(`COMMENT ON DATABASE contrib_regression IS 'a copy that a restore makes'`, 'postgres');
    await restoreHere(world, 'latest', { database: 'copy' });
    assert.equal(await databases(world), ['app', 'copy']);

    await world.sql('DROP DATABASE copy', 'postgres');
    await world.sql('ALTER SYSTEM RESET shared_preload_libraries', 'postgres');
    await restartWith(world, []);
    const attempt = () => restoreHere(world, 'latest');
    await refused(attempt, 1, /does not load pg_cron/, /shared_preload_libraries/);
    assert.equal(await databases(world), ['app']);
  } finally {
    await world.stop();
  }
});

check('PostGIS: pg_dump says the same of both sides', async () => {
  const servers = await createTurns();
  const bareServers = await createTurns();
  try {
    await servers.inTurn(here =>
      bareServers.inTurn(async bare => {
        await createRoles(here);
        for (const part of ['owner', 'superuser'] as const)
          await runScript(here, statementsOf('postgis', part));
        try {
          await comesBack({ here, bare }, ['plain', 'custom']);
        } finally {
          for (const world of [here, bare]) await dropAll(world);
        }
      }),
    );
  } finally {
    await Promise.all([servers.stop(), bareServers.stop()]);
  }
});

test('packages were looked for', () => {});

test.run();
