import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runDrill } from '../../../scripts/lib/drill/run-drill.ts';
import { configOf, store } from '../../support/backup/old-backups.ts';
import { begin } from '../../support/core/expect.ts';
import { makeBackup, refused, restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import { contentOf, databases } from '../../support/postgres/compare.ts';
import { forge, writeDump } from '../../support/restore/plain-dumps.ts';
import { assertLookalikesLoad, assertNoCommands, CONNECT } from '../../support/restore/psql-commands.ts';

const { inTurn, stop } = await createTurns();

test('each way to give psql a command is refused, and none has an effect', () =>
  inTurn(world => assertNoCommands(world, () => true)));

for (const options of [[], ['--inserts']])
  test(`values that look like commands of psql load unharmed: pg_dump ${options}`, () =>
    inTurn(world => assertLookalikesLoad(world, ...options)));

test('restores of a file, of a backup with a manifest, from here and from S3, and a drill refuse them', () =>
  inTurn(async world => {
    await begin(world);
    const trace = join(world.directory, 'trace');
    const file = writeDump(world, 'short.sql.gz', CONNECT);
    const backup = await makeBackup(world, { upload: false });
    const forged = forge(world, backup, sql => `\\! touch ${trace}\n${sql}`);
    await store(world, {}, forged);
    const before = await contentOf(world);
    const why = /has a command of psql in line 1, /;
    await refused(() => restoreHere(world, file), 3, why);
    await refused(() => restoreHere(world, file, { database: 'other' }), 3, why);
    await refused(() => restoreHere(world, backup.id, { database: 'other' }), 3, why);
    await refused(() => restoreHere(world, backup.id, { database: 'other', from: 's3' }), 3, why);
    await refused(() => runDrill(configOf(world, {})), 3, why);
    assert.equal(await contentOf(world), before);
    assert.equal(await databases(world), ['app']);
    assert.not.ok(existsSync(trace));
  }));

test('the servers stop', stop);

test.run();
