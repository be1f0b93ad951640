/** The key that signs backups is made by the first backup that has none. */
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { localBackups, newestFirst } from '../../../scripts/lib/backup/catalog.ts';
import { type Manifest, manifestName, serialize } from '../../../scripts/lib/backup/manifest.ts';
import { dryRun } from '../../../scripts/lib/backup/run-backup.ts';
import { sign, signatureProblem } from '../../../scripts/lib/backup/signature.ts';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import { configOf, plant } from '../../support/backup/old-backups.ts';
import { backUpWith, listed, manifestPath, OTHER, signatureOf } from '../../support/backup/signed.ts';
import { begin } from '../../support/core/expect.ts';
import { captured } from '../../support/core/here.ts';
import { makeBackup } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import { startProgram } from '../../support/core/world.ts';
import { fileOf } from '../../support/s3/store.ts';

const { inTurn, stop } = await createTurns();

test('the first backup makes the key, signs those of before, and their copies as soon as the store can be reached', () =>
  inTurn(async world => {
    await begin(world);
    const before = [await makeBackup(world), await makeBackup(world, { format: 'custom' })];
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
    await backUpWith(world, envFile, false);
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
    const made = await listed(world, env);
    for (const { id } of [...before, first.backup]) assert.is(made[id]!.local, 'verified');
    for (const { id } of before) assert.is(made[id]!.s3, 'foreign: not signed');
    assert.is(made[bystander.id]!.local, 'foreign: wrong signature', 'another key’s signature is kept');

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
    const later = await plant(world.env.BACKUP_DIR!, before[0]!.id, { days: 1 });
    await backUpWith(world, envFile);
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
    for (const [envFile, why] of [
      [
        join(world.directory, 'none'),
        /BACKUP_SIGNING_KEY is not set, and there is no \.env\.production here/,
      ],
      [readOnly, /can't set BACKUP_SIGNING_KEY in .*read-only: it is read-only/],
    ] as const) {
      const { backup, stderr } = await backUpWith(world, envFile);
      assert.match(stderr, why);
      assert.is(stderr.match(/backups are not signed/g)!.length, 1);
      assert.match(stderr, /→ run openssl rand -hex 32 and set BACKUP_SIGNING_KEY/);
      assert.is(signatureOf(manifestPath(world, backup.id)), undefined);
    }
    assert.is(readFileSync(readOnly, 'utf8'), 'A=1\n');
    assert.is(newestFirst(await localBackups(configOf(world, {}))).length, 2);
    assert.equal(
      readdirSync(world.env.STATE_DIR!).filter(name => name.includes('unsigned')),
      [],
    );
  }));

test('two first runs at once agree on one key', () =>
  inTurn(async world => {
    await begin(world);
    const copy = join(world.directory, 'copy');
    for (const name of ['scripts', 'package.json'])
      cpSync(join(ROOT, name), join(copy, name), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    const envFile = join(copy, '.env.production');
    world.env.S3_BUCKET = ''; // the key is of this server
    const { PATH, HOME, ...settings } = world.env as { PATH: string; HOME: string };
    const lines = Object.entries(settings).map(([name, value]) => `${name}='${value}'\n`);
    writeFileSync(envFile, lines.join(''), { mode: 0o600 });
    const start = () => startProgram(join(copy, 'scripts/backup.ts'), [], { PATH, HOME }).ended;
    const done = await Promise.all([start(), start()]);
    assert.ok(done.every(({ code }) => code === 0 || code === 75) && done.some(({ code }) => code === 0));
    const [, key] = /^BACKUP_SIGNING_KEY=(\w{64})\n$/.exec(
      readFileSync(envFile, 'utf8').slice(lines.join('').length),
    )!;
    const found = await localBackups(configOf(world, {}));
    assert.is(found.length, done.filter(({ code }) => code === 0).length);
    for (const { id } of found)
      assert.is(signatureProblem(readFileSync(manifestPath(world, id), 'utf8'), [key!]), undefined);
    const shown =
      done.map(({ stdout, stderr }) => stdout + stderr).join('') +
      readFileSync(join(world.env.LOG_DIR!, 'backup.log'), 'utf8');
    assert.not.match(shown, new RegExp(key!));
  }));

test('the servers stop', stop);

test.run();
