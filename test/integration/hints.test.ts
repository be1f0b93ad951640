/**
 * The commands that messages name, run exactly as they are shown, in a directory that is not the repository's and for an
 * environment that is not the default. Which message has which test: test/support/cli/hint-tests.ts.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findFile } from '../../scripts/lib/backup/find-file.ts';
import { type Manifest, parseManifest } from '../../scripts/lib/backup/manifest.ts';
import { checkFiles } from '../../scripts/lib/backup/verify.ts';
import { placeOf } from '../../scripts/lib/cli/place.ts';
import { pasteable } from '../../scripts/lib/core/command-line.ts';
import type { OperationalError } from '../../scripts/lib/core/errors.ts';
import { leftovers } from '../../scripts/lib/health/checks/leftovers.ts';
import { postgres } from '../../scripts/lib/health/checks/postgres.ts';
import { chooseTables } from '../../scripts/lib/restore/choose-tables.ts';
import { parseAction } from '../../scripts/lib/restore/options.ts';
import { download } from '../../scripts/lib/s3/download.ts';
import { openStore } from '../../scripts/lib/s3/open-store.ts';
import { installBlock } from '../../scripts/lib/schedule/crontab-install.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { executeHere } from '../support/cli/execute-here.ts';
import { commandIn, paste } from '../support/cli/paste.ts';
import { createWorld } from '../support/core/world.ts';

const world = await createWorld();
world.env.S3_BUCKET = '';
const cwd = join(world.directory, "an operator's home");
mkdirSync(cwd);

/** Its messages, which are the same in this process; the commands in them are pasted into a shell. */
const run = (script: string, ...args: string[]) =>
  executeHere(script, [...args, '--env', 'staging'], world.env, { cwd });
const pasted = async (command: string, code = 0) => {
  assert.match(command, / --env staging( |$)/);
  const ended = await paste(world, command, cwd);
  assert.is(ended.code, code, `${command}\n${ended.stdout}${ended.stderr}`);
  return ended.stdout + ended.stderr;
};
const config = () => configOf(world, { DEPLOY_ENV: 'staging' });
/** What a script of this environment prints there. */
const printed = (text: string) => pasteable(text, { ...placeOf('staging'), cwd });
/** What a refusal in this process prints. */
const refusal = async (act: () => unknown): Promise<string> => {
  try {
    await act();
  } catch (error) {
    return printed(`${(error as OperationalError).message}\n${(error as OperationalError).hint}`);
  }
  throw new Error('it was not refused');
};
const databases = async () =>
  (
    await world.rows<{ datname: string }>(
      "SELECT datname FROM pg_database WHERE datname LIKE 'app%' ORDER BY 1",
    )
  ).map(({ datname }) => datname);
const count = async () => (await world.sql('SELECT count(*) FROM items')).trim();

/** What lists the backups of this environment, from the first message that says so. */
let list = '';

test('there is no backup: the command lists those of the same environment', async () => {
  const { code, stderr } = await run('restore', 'latest', '--yes');
  assert.is(code, 3, stderr);
  list = commandIn(stderr, /→ (.*) lists the backups\./);
  assert.match(await pasted(list), /no backups of app \(staging\)/);
  // Others that name the same command.
  writeFileSync(join(cwd, 'neurmatic_staging_20260131_020007.dump'), 'cut');
  const manifest = { artifact: { name: 'neurmatic_staging_20260131_020007.dump', bytes: 9, sha256: '' } };
  const store = await openStore(configOf(world, { S3_BUCKET: world.s3.env.S3_BUCKET! }).s3!);
  for (const act of [
    () => findFile(config(), join(cwd, 'none.sql.gz')),
    () => parseManifest('{', 'an id'),
    () => checkFiles(cwd, manifest as Manifest),
    () => chooseTables([], ['public.none']),
    () => parseAction(undefined, {}),
    () => download(store, 'none', join(cwd, 'none')),
  ]) {
    const text = await refusal(act);
    assert.ok(text.includes(`${list} `), text);
  }
});

test('the health check misses a backup: the command lists those that are there', async () => {
  const { code, stdout } = await run('health-check', '--only', 'backup', '--verbose');
  assert.is(code, 2, stdout);
  assert.is(commandIn(stdout, /^ +(\S+list-backups\.ts .*) says/m), list);
});

test('a directory that others can read, and a wrong database: the commands close the one and list the others', async () => {
  const shared = join(cwd, 'backups');
  mkdirSync(shared, { mode: 0o755 });
  writeFileSync(join(shared, 'photo.jpg'), '');
  const env = { ...world.env, BACKUP_DIR: shared, POSTGRES_DB: 'none' };
  const look = () => executeHere('backup', ['--dry-run'], env, { cwd });
  const chmod = commandIn((await look()).stderr, /: (chmod 700 '.*')$/m);
  assert.is((await paste(world, chmod, cwd)).code, 0);
  const { stderr } = await look();
  assert.not.match(stderr, /chmod/);
  // The same run has a database that does not exist.
  const asking = { ...world.env, PGPASSWORD: world.env.POSTGRES_PASSWORD! }; // psql asks for it
  const ended = await paste({ env: asking }, commandIn(stderr, /`(psql .* -l)` lists/), cwd);
  assert.match(ended.stdout, /^ app +\|/m, JSON.stringify([ended, stderr]));
});

test('S3 is not configured: the command lists the local backups', async () => {
  const { stderr } = await run('unhide-backup');
  assert.is(commandIn(stderr, /or (.*) lists the local/), list);
});

test('an unknown action: the command shows what there is', async () => {
  const { stderr } = await run('schedule', 'bogus');
  assert.match(await pasted(commandIn(stderr, /: (\S+schedule\.ts .*next)$/m)), /load-check/);
});

test('a run has left a directory: the command removes it; a backup was changed after it was read: the command reads it again', async () => {
  await world.sql('CREATE TABLE items AS SELECT generate_series(1, 5) AS id');
  const directory = world.env.BACKUP_DIR!;
  const left = join(directory, '.look-abcdef');
  mkdirSync(left, { recursive: true, mode: 0o700 });
  utimesSync(left, 0, 0);
  // It leaves what a run has left, and is the first backup.
  await pasted(commandIn(printed((await leftovers(config()).run()).hint!), /: run (.*)\.$/));
  assert.not.ok(existsSync(left));
  const later = new Date(Date.now() + 60_000);
  for (const name of readdirSync(directory)) utimesSync(join(directory, name), later, later);
  const { stdout } = await run('list-backups');
  const verify = commandIn(stdout, /changed since it was read: (\S+verify-backup\.ts --env staging \S+)/);
  assert.match(await pasted(verify), /complete and unchanged: neurmatic_staging_/);
});

test('a backup is small: the command restores it into another database', async () => {
  await world.sql('INSERT INTO items SELECT generate_series(6, 100)');
  const { code, stderr } = await run('restore', 'latest', '--yes');
  assert.is(code, 2, stderr);
  const restore = commandIn(stderr, /`(\S+restore\.ts .*)` restores into another database/);
  await pasted(restore);
  assert.equal(await databases(), ['app', 'app_copy']);
  assert.is(await count(), '100');
});

test('after a restore: the commands check it, swap it back and drop the kept database', async () => {
  const { code, stdout, stderr } = await run('restore', 'latest', '--yes', '--allow-small');
  assert.is(code, 0, stderr);
  assert.is(await count(), '5');
  const shown = stdout + stderr;
  const [check, finish, undo] = [/run `([^`]+)`/, /then `([^`]+)` drops/, /or `([^`]+)` swaps/].map(pattern =>
    commandIn(shown, pattern),
  );
  assert.match(check!, /scripts\/health-check\.ts --env staging$/);
  // Each asks; --yes answers.
  await pasted(`${undo} --yes`);
  assert.is(await count(), '100');
  const kept = (await databases()).find(name => /_before_/.test(name));
  await world.sql(`ALTER DATABASE ${kept} RENAME TO app_before_20260101_000000`, 'postgres');
  const { message } = await postgres(config()).run();
  assert.is(
    commandIn(printed(message), /has been kept for .*: (\S+restore\.ts .*--finish) drops it/),
    finish,
  );
  await pasted(`${finish} --yes`);
  assert.equal(await databases(), ['app', 'app_copy']);
  const { stderr: none } = await run('restore', '--finish', '--yes');
  assert.is(commandIn(none, /--finish\. (\S+ --env staging) shows/), list);
  assert.match(await pasted(check!, 2), /staging is /);
});

test('a scheduler runs already: the command installs the other jobs', async () => {
  const state = join(world.env.STATE_DIR!, 'staging.schedule.json');
  const now = new Date().toISOString();
  const job = { expression: '0 2 * * *', due: now };
  writeFileSync(state, JSON.stringify({ heartbeat: now, jobs: { backup: job, 'load-check': job } }));
  const refused = await refusal(() => installBlock(config()));
  const crontab = join(cwd, 'crontab');
  writeFileSync(crontab, '#!/bin/sh\n[ "$1" = -l ] && exec cat "$0.is" || exec cp "$1" "$0.is"\n');
  chmodSync(crontab, 0o755);
  writeFileSync(`${crontab}.is`, '');
  const { PATH } = world.env;
  try {
    world.env.PATH = `${cwd}:${PATH}`;
    await pasted(commandIn(refused, /`(SCHEDULE_\S+=off .*schedule\.ts [^`]+)`/));
  } finally {
    world.env.PATH = PATH!;
    rmSync(state);
  }
  const jobs = readFileSync(`${crontab}.is`, 'utf8').match(/^# [\w-]+: (?:off|[\d*])/gm);
  assert.equal(jobs, [
    '# backup: off',
    '# load-check: off',
    '# health-check: *',
    '# drill: 0',
    '# certificates: 3',
    '# weekly: 0',
  ]);
});

test.after(() => world.stop());
test.run();
