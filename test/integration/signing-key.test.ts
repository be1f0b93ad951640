/** The key that signs backups is made by the first backup that has none. */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Manifest, manifestName, serialize } from '../../scripts/lib/backup/manifest.ts';
import { dryRun } from '../../scripts/lib/backup/run-backup.ts';
import { sign } from '../../scripts/lib/backup/signature.ts';
import { signLocal, withSigningKey } from '../../scripts/lib/backup/signing-key.ts';
import { configOf, plant, store } from '../support/backup/old-backups.ts';
import { backUpWith, listed, manifestPath, OTHER, signatureOf } from '../support/backup/signed.ts';
import { begin } from '../support/core/expect.ts';
import { captured } from '../support/core/here.ts';
import { makeBackup } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import { fileOf } from '../support/s3/store.ts';

const { inTurn, stop } = await createTurns();

/** By backups alone: test/long/integration/signing-key.test.ts. */
test('the first backup makes the key, signs those of before, and their copies as soon as the store can be reached', () =>
  inTurn(async world => {
    await begin(world);
    const made = await makeBackup(world);
    const other = await plant(world.env.BACKUP_DIR!, made.id, { days: 1 });
    await store(world, {}, other);
    const before = [made, other];
    const bystander = await plant(world.env.BACKUP_DIR!, before[0]!.id, { days: 9 });
    writeFileSync(manifestPath(world, bystander.id), sign(serialize(bystander), OTHER));
    // Someone has put another manifest into the bucket meanwhile.
    const [replaced] = before as [Manifest];
    writeFileSync(
      fileOf(world, `database/${manifestName(replaced.id)}`),
      serialize({ ...replaced, label: 'forged' }),
    );
    const envFile = join(world.directory, 'env');
    const [head, tail] = ['# caf\xe9\r\nPOSTGRES_DB=app # live\n\nBACKUP_SIGNING_KEY=', "\nX='a\nb'\n# end"];
    writeFileSync(envFile, Buffer.from(head + tail, 'latin1'), { mode: 0o600 });

    await captured(() => dryRun({ ...configOf(world, {}), envFile }, 'plain'));
    assert.is(readFileSync(envFile, 'latin1'), head + tail, 'a look makes no key');
    // What can't be signed yet does not stop the backup, and loses nothing.
    const blocked = join(world.env.BACKUP_DIR!, '.signed.json');
    mkdirSync(join(blocked, 'x'), { recursive: true });
    const first = await backUpWith(world, envFile, false);
    assert.match(
      first.stderr,
      /local backups from before the key are not signed yet: .*the next backup goes on/,
    );
    const unfinished = readdirSync(world.env.BACKUP_DIR!).filter(name => name.endsWith('.partial'));
    assert.equal(unfinished, ['.signed.json.partial'], 'no mark of an unfinished backup');
    rmSync(blocked, { recursive: true });
    const text = readFileSync(envFile, 'latin1');
    const key = text.slice(head.length, text.length - tail.length);
    assert.match(key, /^[0-9a-f]{64}$/);
    assert.is(text, head + key + tail);
    assert.is(statSync(envFile).mode & 0o7777, 0o600);
    assert.match(
      first.warnings[0]!,
      /^made BACKUP_SIGNING_KEY in .*Keep a copy of that file outside of the bucket/,
    );
    assert.not.match(JSON.stringify(first), new RegExp(key));
    const env = { BACKUP_SIGNING_KEY: key };
    assert.is(await signLocal(configOf(world, env)), true);
    const signed = await listed(world, env);
    for (const { id } of [...before, first.backup]) assert.is(signed[id]!.local, 'verified');
    for (const { id } of before) assert.is(signed[id]!.s3, 'foreign: not signed');
    assert.is(signed[bystander.id]!.local, 'foreign: wrong signature', 'another key’s signature is kept');

    const second = await backUpWith(world, envFile);
    assert.is(readFileSync(envFile, 'latin1'), text, 'the key stays');
    assert.equal(second.warnings, []);
    const copied = await listed(world, env);
    assert.equal(
      [...before, second.backup].map(({ id }) => copied[id]!.s3),
      ['foreign: not signed', 'verified', 'verified'],
      'only a copy of the local backup gets its signature',
    );
    // What comes after is not from before the key.
    const later = await plant(world.env.BACKUP_DIR!, made.id, { days: 2 });
    await signLocal(configOf(world, env));
    assert.is((await listed(world, env))[later.id]!.local, 'foreign: not signed');
    assert.equal(
      readdirSync(world.env.STATE_DIR!).filter(name => name.includes('unsigned')),
      [],
    );
  }));

test('without an env file that can be written, backups are made, and one warning names the command that makes a key', () =>
  inTurn(async world => {
    await begin(world);
    const readOnly = join(world.directory, 'read-only');
    writeFileSync(readOnly, 'A=1\n', { mode: 0o400 });
    const { backup, stderr } = await backUpWith(world, join(world.directory, 'none'));
    assert.match(stderr, /BACKUP_SIGNING_KEY is not set, and there is no \.env\.production here/);
    assert.is(stderr.match(/backups are not signed/g)!.length, 1);
    assert.match(stderr, /→ run openssl rand -hex 32 and set BACKUP_SIGNING_KEY/);
    assert.is(signatureOf(manifestPath(world, backup.id)), undefined);
    const { value, stderr: said } = await captured(() =>
      withSigningKey({ ...configOf(world, {}), envFile: readOnly }),
    );
    assert.equal([value!.config.signingKeys, value!.notes], [[], []]);
    assert.match(said, /can't set BACKUP_SIGNING_KEY in .*read-only: it is read-only/);
    assert.match(said, /→ run openssl rand -hex 32 and set BACKUP_SIGNING_KEY/);
    assert.is(readFileSync(readOnly, 'utf8'), 'A=1\n');
    assert.equal(
      readdirSync(world.env.STATE_DIR!).filter(name => name.includes('unsigned')),
      [],
    );
  }));

test('the servers stop', stop);

test.run();
