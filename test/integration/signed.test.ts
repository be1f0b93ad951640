/** Whoever can write to the bucket is not trusted: only backups with this server's signature are used without being named. */
import {
  cpSync,
  existsSync,
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
import {
  localBackups,
  newestFirst,
  newestOf,
  storedBackups,
  walkLocal,
  walkStored,
} from '../../scripts/lib/backup/catalog.ts';
import { type ListedBackup, listBackups } from '../../scripts/lib/backup/list.ts';
import { type Manifest, manifestName, serialize } from '../../scripts/lib/backup/manifest.ts';
import { planRetention } from '../../scripts/lib/backup/prune.ts';
import { backUp, dryRun } from '../../scripts/lib/backup/run-backup.ts';
import { sign, signatureProblem } from '../../scripts/lib/backup/signature.ts';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { runDrill } from '../../scripts/lib/drill/run-drill.ts';
import { openStore } from '../../scripts/lib/s3/open-store.ts';
import { configOf, lay, plant } from '../support/backup/old-backups.ts';
import { begin, change, stateOf } from '../support/core/expect.ts';
import { captured } from '../support/core/here.ts';
import { checkHere, makeBackup, refused, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import { startProgram, type World } from '../support/core/world.ts';
import { forge, writeDump } from '../support/restore/plain-dumps.ts';
import { fileOf } from '../support/s3/store.ts';

const { inTurn, stop } = await createTurns();

const [KEY, OTHER] = ['a1'.repeat(32), 'b2'.repeat(32)] as [string, string];
const SIGNED = { BACKUP_SIGNING_KEY: KEY };
const manifestPath = (world: World, id: string) => join(world.env.BACKUP_DIR!, manifestName(id));
const signatureOf = (path: string): string => JSON.parse(readFileSync(path, 'utf8')).signature;

/** What list-backups.ts shows, by id. */
async function listed(world: World, env: Record<string, string>): Promise<Record<string, ListedBackup>> {
  const config = configOf(world, env);
  const found = [
    ...(await localBackups(config)),
    ...(await storedBackups(config, await openStore(config.s3!))),
  ];
  return Object.fromEntries(listBackups(found, []).map(each => [each.id, each]));
}

/**
 * What someone does who can write to the bucket: puts there a backup of other statements, newer than the last one.
 * @param signature of its manifest
 */
async function forgeStored(
  world: World,
  { id }: Manifest,
  hoursNewer: number,
  first: string,
  signature?: string,
): Promise<Manifest> {
  const elsewhere = join(world.directory, `forged-${hoursNewer}`);
  const planted = await plant(world.env.BACKUP_DIR!, id, { days: -hoursNewer / 24 }, elsewhere);
  const forged = forge({ ...world, env: { BACKUP_DIR: elsewhere } }, planted, sql => `${first}\n${sql}`);
  if (signature) {
    const path = join(elsewhere, manifestName(forged.id));
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), signature }));
  }
  await lay(world, { BACKUP_DIR: elsewhere, S3_PREFIX: 'database' }, forged);
  return forged;
}

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

test('manifests in BACKUP_DIR: only the signature of this key, for this manifest, counts', () =>
  inTurn(async world => {
    await begin(world);
    const { id } = await makeBackup(world, { upload: false }, SIGNED);
    const older: Manifest[] = [];
    for (const days of [1, 2, 3, 4, 5]) older.push(await plant(world.env.BACKUP_DIR!, id, { days }));
    const [unsigned, staging, moved, sound, changed] = older as [
      Manifest,
      Manifest,
      Manifest,
      Manifest,
      Manifest,
    ];
    const put = (of: Manifest, text: string) => writeFileSync(manifestPath(world, of.id), text);
    put(staging, sign(serialize(staging), OTHER));
    put(
      moved,
      sign(serialize(moved), KEY).replace(
        /"signature": "\w+"/,
        `"signature": "${signatureOf(manifestPath(world, id))}"`,
      ),
    );
    put(sound, sign(serialize(sound), KEY));
    const { signature } = JSON.parse(sign(serialize(changed), KEY));
    put(changed, JSON.stringify({ ...JSON.parse(serialize({ ...changed, label: 'x' })), signature }));
    const statuses = async (env: Record<string, string>) => {
      const all = await listed(world, env);
      return [id, ...older.map(each => each.id)].map(each => all[each]!.local);
    };
    const [no, wrong] = ['foreign: not signed', 'foreign: wrong signature'];
    assert.equal(await statuses(SIGNED), ['verified', no, wrong, wrong, 'verified', wrong]);
    assert.equal(await statuses({}), Array(6).fill('verified'), 'without a key nothing can be checked');
    const both = { BACKUP_SIGNING_KEY: OTHER, BACKUP_SIGNING_KEY_PREVIOUS: KEY };
    assert.equal(await statuses(both), ['verified', no, 'verified', wrong, 'verified', wrong]);
    assert.is((await newestOf(walkLocal(configOf(world, SIGNED))))!.id, id);
    const { code, stdout } = await world.run('list-backups', ['--verify', '--json'], {
      ...SIGNED,
      S3_BUCKET: '',
    });
    assert.is(code, 0, 'a foreign backup is not a damaged one');
    assert.is(JSON.parse(stdout)[1].local, no);
    assert.ok(unsigned);
  }));

test('a lost key: what is there is said, with both ways on', () =>
  inTurn(async world => {
    await begin(world);
    const { id, artifact } = await makeBackup(world, {}, SIGNED);
    await plant(world.env.BACKUP_DIR!, id, { days: 1 });
    const lost = { BACKUP_SIGNING_KEY: OTHER };
    const why =
      /no verified backup of app \(production\) with the signature of BACKUP_SIGNING_KEY; there are /;
    const ways = /put the old key back into \.env\.production, or restore one by its id with --allow-foreign/;
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

/** A backup as backup.ts makes it, of a server with this env file. */
async function backUpWith(world: World, envFile: string, upload = true) {
  const config = { ...configOf(world, {}), envFile };
  const done = await captured(() => backUp(config, { format: 'plain', upload }));
  if (!done.value) throw new Error(done.error);
  return { ...done.value.json, stderr: done.stderr };
}

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
