/**
 * The commands that messages name, run exactly as they are shown, in a directory that is not the repository's and for an
 * environment that is not the default. Which message has which test: test/support/cli/hint-tests.ts.
 */
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { commandIn, paste } from '../support/cli/paste.ts';
import { createWorld } from '../support/core/world.ts';

const world = await createWorld();
world.env.S3_BUCKET = '';
const cwd = join(world.directory, "an operator's home");
mkdirSync(cwd);

const run = (script: string, ...args: string[]) =>
  world.run(script, [...args, '--env', 'staging'], {}, { cwd });
const pasted = async (command: string, code = 0) => {
  assert.match(command, / --env staging( |$)/);
  const ended = await paste(world, command, cwd);
  assert.is(ended.code, code, `${command}\n${ended.stdout}${ended.stderr}`);
  return ended.stdout + ended.stderr;
};
const databases = async () =>
  (
    await world.rows<{ datname: string }>(
      "SELECT datname FROM pg_database WHERE datname LIKE 'app%' ORDER BY 1",
    )
  ).map(({ datname }) => datname);
const count = async () => (await world.sql('SELECT count(*) FROM items')).trim();

test('there is no backup: the command lists those of the same environment', async () => {
  const { code, stderr } = await run('restore', 'latest', '--yes');
  assert.is(code, 3, stderr);
  const list = commandIn(stderr, /→ (.*) lists the backups\./);
  assert.match(await pasted(list), /no backups of app \(staging\)/);
});

test('the health check misses a backup: the command lists those that are there', async () => {
  const { code, stdout } = await run('health-check', '--only', 'backup', '--verbose');
  assert.is(code, 2, stdout);
  assert.match(await pasted(commandIn(stdout, /^ +(\S+list-backups\.ts .*) says/m)), /no backups of app/);
});

test('a directory that others can read, and a wrong database: the commands close the one and list the others', async () => {
  const shared = join(cwd, 'backups');
  mkdirSync(shared, { mode: 0o755 });
  writeFileSync(join(shared, 'photo.jpg'), '');
  const look = () => world.run('backup', ['--dry-run'], { BACKUP_DIR: shared, POSTGRES_DB: 'none' }, { cwd });
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
  assert.match(await pasted(commandIn(stderr, /or (.*) lists the local/)), /no backups of app \(staging\)/);
});

test('an unknown action: the command shows what there is', async () => {
  const { stderr } = await run('schedule', 'bogus');
  assert.match(await pasted(commandIn(stderr, /: (\S+schedule\.ts .*next)$/m)), /load-check/);
});

test('a backup was changed after it was read: the command reads it again', async () => {
  await world.sql('CREATE TABLE items AS SELECT generate_series(1, 5) AS id');
  const made = await run('backup', '--no-upload');
  assert.is(made.code, 0, made.stderr);
  const directory = world.env.BACKUP_DIR!;
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
  await pasted(`${finish} --yes`);
  assert.equal(await databases(), ['app', 'app_copy']);
  const { stderr: none } = await run('restore', '--finish', '--yes');
  const list = commandIn(none, /--finish\. (\S+ --env staging) shows/);
  assert.match(await pasted(list), /neurmatic_staging_/);
  assert.match(await pasted(check!, 2), /staging is /);
});

test.after(() => world.stop());
test.run();
