import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { drill } from '../../../scripts/drill.ts';
import type { DrillReport } from '../../../scripts/lib/drill/report.ts';
import { configOf, plant, store } from '../../support/backup/old-backups.ts';
import { here } from '../../support/core/here.ts';
import { makeBackup } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import { startScript, until, type World } from '../../support/core/world.ts';
import {
  assertEmbeddedDrill,
  assertNothingLeft,
  inTemporary,
  processesWith,
} from '../../support/drill/embedded.ts';

const { inTurn, stop } = await createTurns();

test('embedded: backs up, destroys, restores, compares, and leaves nothing behind', () =>
  assertEmbeddedDrill(env => startScript('drill', ['--embedded', '--json'], env), 500_000, 1e6));

for (const [moment, pattern] of [
  ['the database is filled', /started PostgreSQL/],
  ['backup.ts runs', /Dumping/],
  ['restore.ts runs', /Loading/],
] as const) {
  test(`embedded: interrupted while ${moment}, it leaves nothing behind`, () =>
    inTemporary(async (env, directory) => {
      const drill = startScript('drill', ['--embedded'], env);
      await drill.shows(pattern);
      drill.child.kill('SIGINT');
      const { code, stderr } = await drill.ended;
      assert.is(code, 130, stderr);
      if (moment === 'the database is filled') assert.not.match(stderr, /filled drill/);
      assertNothingLeft(directory);
    }));
}

test('embedded: after SIGKILL no server is running', () =>
  inTemporary(async (env, directory) => {
    const running = startScript('drill', ['--embedded'], env);
    await running.shows(/started PostgreSQL/);
    assert.ok(processesWith(directory).length > 0, 'there is one');
    running.child.kill('SIGKILL');
    await running.ended;
    await until('the servers have ended', () => processesWith(directory).length === 0, 60);
  }));

async function withBackup(world: World): Promise<string> {
  await world.sql('CREATE TABLE t AS SELECT i FROM generate_series(1, 500) AS i');
  return (await makeBackup(world, { format: 'custom' })).id;
}

const databases = (world: World) =>
  world.rows<{ datname: string; oid: number }>(
    'SELECT datname, oid::int8 AS oid FROM pg_database ORDER BY 1',
    'postgres',
  );

/** What `drill.ts` does after it has read its arguments. */
const drillHere = (world: World, env: Record<string, string> = {}) =>
  here(world, env, () => drill.run({ options: {}, positionals: [], config: () => configOf(world, env) }));

test('on a server: restores the newest off-site backup beside the live database, keeps a report, drops what a killed drill left', () =>
  inTurn(async world => {
    const id = await withBackup(world);
    const before = await databases(world);
    // Every new database is a copy of template0, and in this one the first statement of a load hangs.
    await world.sql('ALTER DATABASE template0 ALLOW_CONNECTIONS true', 'postgres');
    await world.sql(
      `CREATE FUNCTION hang() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(600); END';
       CREATE EVENT TRIGGER hang ON ddl_command_start EXECUTE FUNCTION hang()`,
      'template0',
    );
    const killed = world.start('drill');
    await killed.shows(/Loading/);
    await until('the load is under way', async () => (await databases(world)).length > before.length);
    killed.child.kill('SIGKILL');
    await killed.ended;
    await world.sql('DROP EVENT TRIGGER hang', 'template0'); // event triggers do not fire for their own statements
    assert.is((await databases(world)).length, before.length + 1);

    await world.sql('INSERT INTO t SELECT 0 FROM generate_series(1, 7)');
    const { code, stdout, stderr } = await world.run('drill', ['--json']);
    assert.is(code, 0, stderr);
    assert.match(stderr, /dropping database .*, left by a run that did not finish/);
    const report: DrillReport = JSON.parse(stdout);
    assert.is(report.backup, id);
    assert.is(report.rows, 500);
    assert.equal(Object.keys(report.seconds), ['fetch', 'verify', 'restore and compare']);
    assert.equal(await databases(world), before, 'the scratch database is gone, the live one is the same');
    assert.is((await world.rows<{ n: number }>('SELECT count(*) AS n FROM t'))[0]!.n, 507);
    const drills = join(world.env.STATE_DIR!, 'drills');
    const [json] = readdirSync(drills).filter(name => name.endsWith('.json'));
    assert.is(JSON.parse(readFileSync(join(drills, json!), 'utf8')).backup, id);
    assert.match(
      readFileSync(join(drills, 'report.md'), 'utf8'),
      new RegExp(`\\| production \\| ${id} \\|.*\\| met \\|`),
    );
    assert.not.ok(existsSync(join(world.env.BACKUP_DIR!, '.drill-production')));
  }));

test('on a server: no backup, a missed objective, or a backup damaged in the store is exit 3; no S3 is exit 2', () =>
  inTurn(async world => {
    const none = await drillHere(world);
    assert.is(none.code, 3, none.stderr);
    assert.match(none.error, /no verified backup/);
    const id = await withBackup(world);

    const old = await plant(world.env.BACKUP_DIR!, id, { days: 2 });
    await store(world, { S3_PREFIX: 'old' }, old);
    const env = { S3_PREFIX: 'old', RPO_OBJECTIVE: '36h' };
    const { value, stderr } = await drillHere(world, env);
    const text = value?.text ?? stderr;
    assert.is(value?.exitCode, 3, text);
    assert.match(text, /RPO .*MISSED/);
    assert.match(text, /RTO .*: met/);
    assert.match(text, /drill FAILED: the data was .* old; the objective \(RPO_OBJECTIVE\) is /);
    assert.match(readFileSync(join(world.env.STATE_DIR!, 'drills/report.md'), 'utf8'), /\| missed \|/);

    const path = join(world.s3.directory, `bucket/database/${id}.dump.zst._S3rver_object`);
    const content = readFileSync(path);
    content[Math.floor(content.length / 2)]! ^= 1;
    await writeFile(path, content);
    const before = await databases(world);
    const damaged = await world.run('drill');
    assert.is(damaged.code, 3, damaged.stderr);
    assert.match(damaged.stderr, /SHA-256/);
    assert.equal(await databases(world), before);
    const unconfigured = await drillHere(world, { S3_BUCKET: '' });
    assert.is(unconfigured.code, 2, unconfigured.stderr);
  }));

test('the servers stop', stop);

test.run();
