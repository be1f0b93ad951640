/** Whoever can write to the bucket is not trusted: only backups with this server's signature are used without being named. */
import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { newestOf, walkStored } from '../../../scripts/lib/backup/catalog.ts';
import type { Manifest } from '../../../scripts/lib/backup/manifest.ts';
import { planRetention } from '../../../scripts/lib/backup/prune.ts';
import { runDrill } from '../../../scripts/lib/drill/run-drill.ts';
import { openStore } from '../../../scripts/lib/s3/open-store.ts';
import { configOf, plant } from '../../support/backup/old-backups.ts';
import {
  forgeStored,
  KEY,
  listed,
  manifestPath,
  OTHER,
  SIGNED,
  signatureOf,
} from '../../support/backup/signed.ts';
import { begin, change, stateOf } from '../../support/core/expect.ts';
import { checkHere, makeBackup, refused, restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import { writeDump } from '../../support/restore/plain-dumps.ts';
import { fileOf } from '../../support/s3/store.ts';

const { inTurn, stop } = await createTurns();

test('forged backups in the bucket, newer than the real one, are shown and not used', () =>
  inTurn(async world => {
    await begin(world);
    const real = await makeBackup(world, {}, SIGNED);
    const trace = join(world.directory, 'trace');
    const program = await forgeStored(world, real, 1, `\\! touch ${trace}`);
    const connect = await forgeStored(world, real, 2, '\\connect app\nDROP TABLE state;');
    const copied = await forgeStored(world, real, 3, 'SELECT 1;', signatureOf(manifestPath(world, real.id)));
    const all = await listed(world, SIGNED);
    assert.equal(
      [real, program, connect, copied].map(({ id }) => [all[id]!.local, all[id]!.s3]),
      [
        ['verified', 'verified'],
        ['-', 'foreign: not signed'],
        ['-', 'foreign: not signed'],
        ['-', 'foreign: wrong signature'],
      ],
    );
    const config = configOf(world, SIGNED);
    for (const from of [undefined, 's3', 'local'] as const)
      assert.is(await checkHere(world, 'latest', SIGNED, from), real.id);
    assert.is((await runDrill(config)).backup, real.id);
    assert.is(
      (await newestOf(walkStored(config, await openStore(config.s3!))))!.id,
      real.id,
      'the health check',
    );
    const plans = await planRetention(config, await openStore(config.s3!));
    assert.equal(
      plans.map(({ decisions }) => decisions.map(({ backup }) => backup.id)),
      [[real.id], [real.id]],
    );

    const says = [/this backup is not signed: anyone who can write to its place/, /--allow-foreign/] as const;
    const address = (of: Manifest) => `s3://${world.s3.bucket}/database/${of.artifact.name}`;
    for (const wanted of [program.id, address(program)])
      for (const flags of [{}, { database: 'beside' }])
        await refused(() => restoreHere(world, wanted, flags, SIGNED), 2, ...says);
    await refused(() => restoreHere(world, copied.id, {}, SIGNED), 2, /wrong signature/, /--allow-foreign/);
    const allowed = { 'allow-foreign': true };
    await refused(
      () => restoreHere(world, program.id, allowed, SIGNED),
      3,
      /has a command of psql in line 1, /,
    );
    await refused(
      () => restoreHere(world, connect.id, allowed, SIGNED),
      2,
      /creates or connects to databases/,
    );
    assert.is(await stateOf(world), 'backed up');
    assert.not.ok(existsSync(trace));
    const { stdout } = await world.run('verify-backup', [copied.id], SIGNED);
    assert.match(stdout, /^complete and as its manifest says, but this backup has a wrong signature/);
  }));

test('a lost key: what is there is said, with both ways on', () =>
  inTurn(async world => {
    await begin(world);
    const { id, artifact } = await makeBackup(world, {}, SIGNED);
    await plant(world.env.BACKUP_DIR!, id, { days: 1 });
    const lost = { BACKUP_SIGNING_KEY: OTHER };
    const why =
      /no verified backup of app \(production\) with the signature of BACKUP_SIGNING_KEY; there are /;
    const ways =
      /put the old key back into \S*\.env\.production, or restore one by its id with --allow-foreign/;
    await refused(
      () => restoreHere(world, 'latest', {}, lost),
      3,
      why,
      /there are 2 signed with another key and 1 not signed/,
      ways,
    );
    await refused(() => runDrill(configOf(world, lost)), 3, /there is 1 signed with another key/, ways);
    const path = join(world.env.BACKUP_DIR!, artifact.name);
    for (const wanted of [id, path])
      await refused(() => restoreHere(world, wanted, {}, lost), 2, /wrong signature/, /--allow-foreign/);
    await change(world, 'changed since');
    await restoreHere(world, id, { 'allow-foreign': true }, lost);
    assert.is(await stateOf(world), 'backed up');
    assert.is(await checkHere(world, 'latest', { ...lost, BACKUP_SIGNING_KEY_PREVIOUS: KEY }, 's3'), id);
  }));

test('a dump without a manifest: the path of a file is enough, an object of the bucket is foreign', () =>
  inTurn(async world => {
    await begin(world);
    const path = writeDump(world, 'old.sql.gz', "CREATE TABLE state AS SELECT 'of the file' AS name;");
    await restoreHere(world, path, { database: 'beside' }, SIGNED);
    cpSync(path, fileOf(world, 'old.sql.gz'));
    const address = `s3://${world.s3.bucket}/old.sql.gz`;
    for (const flags of [{}, { database: 'other' }])
      await refused(() => restoreHere(world, address, flags, SIGNED), 2, /not signed/, /--allow-foreign/);
    await restoreHere(world, address, { database: 'other', 'allow-foreign': true }, SIGNED);
    assert.is(await stateOf(world, 'other'), 'of the file');
  }));

test('the servers stop', stop);

test.run();
