/* PostgreSQL 16, 17 and 18: the way there from 15, and backups of their own. */
import { cpSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Format, Manifest } from '../../../scripts/lib/backup/manifest.ts';
import { begin, change, stateOf } from '../../support/core/expect.ts';
import { captured } from '../../support/core/here.ts';
import { checkHere, finishHere, makeBackup, refused, restoreHere } from '../../support/core/in-process.ts';
import { createWorld, type World } from '../../support/core/world.ts';
import { contentOf, program, propertiesOf } from '../../support/postgres/compare.ts';
import { HARD_SCHEMA } from '../../support/postgres/fidelity.ts';
import { MAJORS, startVersion } from '../../support/postgres/versions.ts';

const FORMATS = ['plain', 'custom'] as const;
const old = await createWorld();
await program(old, 'psql', '-qX', '-vON_ERROR_STOP=1', '-o/dev/null', '-dapp', `-f${HARD_SCHEMA}`);
await begin(old);
const backups: Manifest[] = [];
for (const format of FORMATS) backups.push(await makeBackup(old, { format }));
const rowsAndRights = async (world: World) => {
  const { tables, largeObjects } = await contentOf(world);
  return { tables, largeObjects };
};
const before = await rowsAndRights(old);

for (const major of MAJORS) {
  test(`${major}: a backup of 15 restores into it, and it backs up and restores itself`, async () => {
    const world = await createWorld({ postgres: () => startVersion(major) });
    try {
      cpSync(old.env.BACKUP_DIR!, world.env.BACKUP_DIR!, { recursive: true });
      for (const { id, format } of backups) {
        await world.sql('DROP DATABASE app', 'postgres');
        const { error, stderr } = await captured(() => restoreHere(world, id));
        assert.is(error, '', stderr);
        assert.equal(await rowsAndRights(world), before, format);
      }
      const of = await world.sql('SHOW server_version_num');
      assert.is(Math.floor(Number(of) / 10_000), major);
      for (const format of FORMATS) {
        const whole = [await contentOf(world), await propertiesOf(world)];
        const { id, server } = await makeBackup(world, { format });
        assert.is(Number.parseInt(server.version, 10), major);
        await change(world, 'changed');
        const done = await captured(() => restoreHere(world, id, { from: 's3' }));
        assert.is(done.error, '', done.stderr);
        assert.equal([await contentOf(world), await propertiesOf(world)], whole, format);
        assert.is(await stateOf(world, done.value!.kept!), 'changed');
        await finishHere(world);
        await refusedBy15(world, id, format);
      }
      if (major >= 17) await builtinLocale(world);
    } finally {
      await world.stop();
    }
  });
}

/** A newer version's backup does not get into 15, and is whole all the same. */
async function refusedBy15(world: World, id: string, format: Format): Promise<void> {
  const env = { BACKUP_DIR: world.env.BACKUP_DIR! };
  const state = await rowsAndRights(old);
  await refused(
    () => restoreHere(old, id, {}, env),
    1,
    /is a backup of PostgreSQL \d+\.\d+; this server is 15\./,
    /restore into a server of version \d+ or later/,
  );
  assert.equal(await rowsAndRights(old), state);
  assert.is(await checkHere(world, id), id);
  if (format === 'custom')
    await refused(
      () => checkHere(old, id, env),
      1,
      /pg_restore 15\S* can't read .*: a later version of pg_dump/,
    );
}

/** The provider that came with 17. */
async function builtinLocale(world: World): Promise<void> {
  const again = `DROP DATABASE app;
    CREATE DATABASE app TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'`;
  for (const statement of again.split(';')) await world.sql(statement, 'postgres');
  await world.sql('CREATE TABLE words AS SELECT unnest(ARRAY[$$é$$, $$Z$$, $$a$$]) AS word');
  const look = async () => [await contentOf(world), await propertiesOf(world)];
  const before = await look();
  const { id, server } = await makeBackup(world);
  assert.equal([server.provider, server.locale], ['builtin', 'C.UTF-8']);
  await world.sql('DROP DATABASE app', 'postgres');
  await restoreHere(world, id);
  assert.equal(await look(), before);
}

test('the servers stop', old.stop);

test.run();
