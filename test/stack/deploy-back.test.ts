/**
 * A release that comes by SSH over a connection that is lost, which images stay, and the rollback past a
 * contracting migration, with the database.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startSshServer } from '../support/cli/sshd.ts';
import { type Ended, killWhen, until } from '../support/core/world.ts';
import { startReceiver } from '../support/notify/receiver.ts';
import {
  assertDrained,
  assertEnded,
  assertHealthy,
  assertNothingLeft,
  assertServing,
  journal,
  listed,
  releases,
  serving,
} from './lib/deploy-state.ts';
import { startDeployable, UNSAVED } from './lib/deployable.ts';
import { ask } from './lib/http.ts';
import { sql, whileVisited } from './lib/visitor.ts';

const sentry = await startReceiver();
const d = await startDeployable({
  SHUTDOWN_LINGER_MS: '300',
  DEPLOY_BAKE_SECONDS: '3',
  SENTRY_URL: sentry.url,
  SENTRY_ORG: 'organization',
  SENTRY_PROJECT: 'project',
  SENTRY_AUTH_TOKEN: 'token',
});
const { stack, registry } = d;

const v1 = stack.variables.BACKEND_IMAGE!;
await d.publish('v2');
const v3 = await d.publish('contracting-migration');
const hook = join(stack.directory, 'hooks/post-deploy');
writeFileSync(hook, `#!/bin/sh\ncat >${hook}.json\n`, { mode: 0o755 });
const follow = d.start('logs', ['backend', '--follow']);
const began = new Date().toISOString().slice(0, 19).replace('T', ' ');
const before = await d.run('deploy', ['2.0.0', '1.0.0', ...UNSAVED]);
assert.is(before.code, 0, before.stderr);

test('logs.ts --follow goes on with the containers that replace others', async () => {
  follow.child.kill('SIGINT');
  const { code, stdout, stderr } = await follow.ended;
  assert.is(code, 130, stderr);
  for (const service of ['backend-1', 'backend-2']) {
    const times = [...stdout.matchAll(new RegExp(`^(\\S+ \\S+) ${service} `, 'gm'))].map(([, time]) => time!);
    assert.ok(
      times.some(time => time < began) && times.at(-1)! > began,
      `${service}: ${times[0]} to ${times.at(-1)}, deployed from ${began} on`,
    );
  }
});

test('after the deployment, post-deploy got the release', () => {
  const { release, outcome, images } = JSON.parse(readFileSync(`${hook}.json`, 'utf8'));
  assert.equal([release, outcome], ['2.0.0', 'done']);
  assert.equal(images, releases(stack)[0]!.images);
});

/** By the deploy key, from a connection that is cut as soon as the first instance is out of the list. */
async function deployBySsh(tag: string): Promise<Ended> {
  const { DOCKER_HOST, DOCKER_CONFIG, PATH } = stack.engine.env as Record<string, string>;
  const env = { DOCKER_HOST: DOCKER_HOST!, DOCKER_CONFIG: DOCKER_CONFIG!, PATH: PATH! };
  const server = await startSshServer({}, undefined, { root: stack.directory, env });
  try {
    const connection = server.start([`deploy ${tag} --run 17`]);
    await killWhen(connection, () => listed(stack).length === 1, 300);
    assert.is(journal(stack)!.release, tag, 'the deployment continues');
    return await server.run(['follow 17']);
  } finally {
    await server.stop();
  }
}

test('a deployment by SSH survives a lost connection; an unreachable Sentry is a warning; images of earlier releases and of others stay', async () => {
  const foreign = `${registry.host}/shop/backend:somebody-elses`.replace('/shop/', '/other/');
  await stack.docker('tag', v1, foreign);
  stack.atExit(['image', 'rm', foreign]);
  // A name that an earlier release has left.
  const old = `${registry.host}/shop/backend:0.9.0`;
  await stack.docker('tag', 'node:24.21.0-bookworm-slim', old);
  sentry.answer = 500;
  const ended = await whileVisited(stack, () => deployBySsh('3.0.0'));
  assertEnded(stack, ended, 0, 'done', /could not report to Sentry: it answered 500/);
  assertDrained(d, ended);
  const here = (await stack.docker('image', 'ls', '--format', '{{.Repository}}:{{.Tag}}')).split('\n');
  assert.ok(here.includes(foreign));
  assert.not(here.includes(old));
  for (const image of [v1, releases(stack)[0]!.images.backend, releases(stack)[1]!.images.backend])
    await stack.docker('image', 'inspect', image);
  await assertServing(d, v3);
  await assertHealthy(d);
});

test('rollback.ts refuses to go back past a contracting migration', async () => {
  const list = await d.run('rollback', ['--list']);
  assert.match(list.stdout, /^→ +3\.0\.0 .* serves/m);
  assert.match(list.stdout, /2\.0\.0 .*only with the database: 20250201000000_drop_subtitle/);
  const refused = await d.run('rollback', ['--yes']);
  assert.is(refused.code, 2, refused.stderr);
  assert.match(
    refused.stderr,
    /2\.0\.0 may fail after 20250201000000_drop_subtitle, which changed the schema/,
  );
  assert.match(refused.stderr, /--with-database BACKUP/);
  const envFile = join(stack.directory, '.env.production');
  const text = readFileSync(envFile, 'utf8');
  writeFileSync(envFile, `${text}STRIPE_KEY=a-value-of-its-own\n`);
  const stray = await d.run('rollback', ['--with-database', releases(stack).at(-1)!.backup!, '--yes']);
  writeFileSync(envFile, text);
  assert.is(stray.code, 2, stray.stderr);
  assert.match(
    stray.stderr,
    /1 variable of the application, .*: STRIPE_KEY\n.*→ move them: \S*config\.ts --split/,
  );
});

/** Whether the live database is that of the backup, or one from before the contracting migration. */
const hasSubtitles = async () =>
  (await sql(stack, "SELECT count(*) FROM information_schema.columns WHERE column_name = 'subtitle'")) !==
  '0';
const keptDatabases = () =>
  sql(stack, `SELECT datname FROM pg_database WHERE datname ~ '_(before|new)_\\d{8}_\\d{6}$'`);
const status = async () => (await ask(stack, 'api', '/api/v1/whoami')).status;

test('killed just after the swap, the maintenance page stays; --revert swaps back, restore.ts waits for that', async () => {
  const { backup } = releases(stack).at(-1)!;
  const first = await serving(stack);
  assert.not(await hasSubtitles());
  const run = d.start('rollback', ['--with-database', backup!, '--yes']);
  // While the database is renamed, it takes no sessions.
  await killWhen(run, async () => /_before_/.test(await keptDatabases().catch(() => '')), 300);
  assert.match(journal(stack)!.step, /^(restore|roll)$/);
  assert.equal([await status(), await hasSubtitles()], [503, true]);
  assert.equal(await serving(stack), first);
  const refused = await d.run('restore', ['--finish', '--yes']);
  assert.is(refused.code, 1, refused.stderr);
  assert.match(refused.stderr, /a rollback to 2\.0\.0 was interrupted at the step “/);
  const { code, stdout, stderr } = await d.run('deploy', ['--revert', '--yes']);
  assert.is(code, 0, stderr);
  assert.match(stdout, /rollback to 2\.0\.0: rolled back/);
  assert.equal([await keptDatabases(), await hasSubtitles(), await status()], ['', false, 200]);
  assert.equal(await serving(stack), first);
  await assertNothingLeft(d);
});

test('Ctrl-C while the backup is loaded ends the load, and nothing is left of it', async () => {
  const { backup } = releases(stack).find(({ contracting }) => contracting.length > 0)!;
  const first = await serving(stack);
  const run = d.start('rollback', ['--with-database', backup!, '--yes']);
  await until('it is being loaded', async () => (await keptDatabases()).includes('_new_'));
  run.child.kill('SIGINT');
  assertEnded(stack, await run.ended, 130, 'rolled back', /interrupted by SIGINT/);
  assert.equal([await keptDatabases(), await hasSubtitles(), await status()], ['', false, 200]);
  assert.equal(await serving(stack), first);
  await assertNothingLeft(d);
});

test('rollback.ts goes back past a contracting migration with the database', async () => {
  const { backup } = releases(stack).find(({ contracting }) => contracting.length > 0)!;
  const before = await sql(stack, 'SELECT count(*) FROM orders');
  const ordered = crypto.randomUUID();
  await sql(stack, `INSERT INTO orders (id, instance) VALUES ('${ordered}', 'after the backup')`);
  const run = d.start('rollback', ['--with-database', backup!, '--yes']);
  await run.shows(/maintenance page: on/);
  assert.is((await ask(stack, 'api', '/api/v1/whoami')).status, 503);
  const ended = await run.ended;
  const release = assertEnded(stack, ended, 0, 'done', /maintenance page: off/);
  assertDrained(d, ended);
  assert.equal([release.kind, release.release, release.backup], ['rollback', '2.0.0', backup]);
  assert.is((await ask(stack, 'api', '/api/v1/whoami')).status, 200);
  assert.is(await sql(stack, 'SELECT count(*) FROM articles WHERE subtitle IS NOT NULL'), '20');
  assert.is(await sql(stack, `SELECT count(*) FROM orders WHERE id = '${ordered}'`), '0');
  assert.ok(Number(before) > 0);
  const databases = await sql(stack, `SELECT datname FROM pg_database WHERE datname LIKE '%\\_before\\_%'`);
  assert.match(databases, new RegExp(`^${stack.variables.POSTGRES_DB}_before_\\d{8}_\\d{6}$`));
  await assertNothingLeft(d);
  await assertHealthy(d);
});

test('maintenance.ts weekly leaves what serves and the database that the rollback has kept, and vacuums', async () => {
  const { code, stdout, stderr } = await d.run('maintenance', [
    'weekly',
    '--kept-days',
    '7',
    '--yes',
    '--json',
  ]);
  assert.is(code, 0, stderr);
  const { tasks } = JSON.parse(stdout) as {
    tasks: { task: string; notes: string[]; done: string[]; errors: string[] }[];
  };
  const of = (name: string) => tasks.find(({ task }) => task === name)!;
  assert.equal(
    tasks.flatMap(({ errors }) => errors),
    [],
  );
  assert.match(of('vacuum').done[0]!, /^VACUUM \(ANALYZE\) /);
  assert.match(of('databases').notes.join(), /_before_\d{8}_\d{6} .* stays/);
  assert.match(of('disk').notes.join(), /Docker’s images: /);
  const { images } = releases(stack).at(-1)!;
  for (const image of Object.values(images)) await stack.docker('image', 'inspect', image);
  await assertHealthy(d);
});

test('the receiver stops', () => sentry.stop());

test.run();
