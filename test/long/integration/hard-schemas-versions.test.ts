/**
 * Hard schemas on 16, 17 and 18: pg_dump of that version says the same of both sides. A backup of 15
 * in the newest: pg_dump says the same as of a database that was made there.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { captured } from '../../support/core/here.ts';
import { makeBackup, restoreHere } from '../../support/core/in-process.ts';
import { createWorld, type World } from '../../support/core/world.ts';
import {
  createRoles,
  dropAll,
  runScript,
  SCHEMAS,
  sectionsOf,
  statementsOf,
} from '../../support/postgres/schemas.ts';
import { MAJORS, startVersion } from '../../support/postgres/versions.ts';

const NEWEST = 18;
/** Schemas of what came with a version, which later ones have, too. */
const SINCE = [17, 18].map(major => ({ schema: `since/${major}`, major }));

/** Without what an older version does not have: named and inherited NOT NULL, and the privilege to maintain a table. */
const ofOlder = (dump: string) =>
  dump.replaceAll(/( CONSTRAINT \S+_not_null)? NOT NULL(?=,?$)/gm, '').replaceAll(',MAINTAIN', '');

/** These builds of the servers have no lz4. */
async function load(world: World, schema: string): Promise<void> {
  await createRoles(world);
  for (const part of ['owner', 'superuser'] as const)
    await runScript(world, statementsOf(schema, part).replaceAll('COMPRESSION lz4', 'COMPRESSION pglz'));
}

async function comesBackHere(world: World, schema: string): Promise<void> {
  await dropAll(world);
  await world.sql('CREATE DATABASE app', 'postgres');
  await load(world, schema);
  const before = await sectionsOf(world);
  const { id } = await makeBackup(world, { format: 'custom', upload: false });
  const { error, stderr } = await captured(() => restoreHere(world, id));
  assert.is(error, '', stderr);
  const after = await sectionsOf(world);
  for (const [section, text] of Object.entries(before)) assert.is(after[section], text, section);
}

for (const major of MAJORS) {
  const world = await createWorld({ postgres: () => startVersion(major) });
  const since = SINCE.filter(each => each.major <= major).map(({ schema }) => schema);
  for (const schema of [...SCHEMAS, ...since])
    test(`${major}, ${schema}: pg_dump says the same of both sides`, () => comesBackHere(world, schema));
  test(`${major}: the servers stop`, world.stop);
}

const old = await createWorld();
const newest = await createWorld({ postgres: () => startVersion(NEWEST) });

for (const schema of SCHEMAS)
  test(`15 to ${NEWEST}, ${schema}: the same as if it had been made there`, async () => {
    const made = await Promise.all(
      [old, newest].map(async world => {
        await dropAll(world);
        await world.sql('CREATE DATABASE app', 'postgres');
        await load(world, schema);
        return sectionsOf(world);
      }),
    );
    const expected = made[1]!;
    await dropAll(newest);
    const { id } = await makeBackup(old, { format: 'plain' });
    const { error, stderr } = await captured(() =>
      restoreHere(newest, id, { from: 's3' }, { S3_ENDPOINT: old.env.S3_ENDPOINT! }),
    );
    assert.is(error, '', stderr);
    const after = await sectionsOf(newest);
    for (const [section, text] of Object.entries(expected))
      assert.is(ofOlder(after[section]!), ofOlder(text), section);
  });

test('the servers stop', async () => {
  await Promise.all([old.stop(), newest.stop()]);
});

test.run();
