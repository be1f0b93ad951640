/**
 * From two instances to four and back, releases with an instance more, past a migration that takes something away and
 * back with the database; who is told, what is shown of secrets, and which images stay.
 */
import { globSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { watchArguments } from '../support/cmdlines.ts';
import { startReceiver } from '../support/receiver.ts';
import { startSshServer } from '../support/sshd.ts';
import { type Ended, killWhen, until } from '../support/world.ts';
import {
  assertEnded,
  assertHealthy,
  assertNothingLeft,
  containers,
  journal,
  listed,
  releases,
  upstreams,
} from './lib/deploy-state.ts';
import { startDeployable } from './lib/deployable.ts';
import { ask } from './lib/http.ts';
import { reload } from './lib/puppet.ts';
import { lockOrders, sql, whileVisited } from './lib/visitor.ts';

const slack = await startReceiver();
const sentry = await startReceiver();
const SENTINEL = 'sentinel-that-nobody-may-see';
const d = await startDeployable({
  SHUTDOWN_LINGER_MS: '300',
  DEPLOY_BAKE_SECONDS: '3',
  JWT_SECRET: `${SENTINEL}-jwt`,
  AWS_ACCESS_KEY_ID: `${SENTINEL}-aws-id`,
  AWS_SECRET_ACCESS_KEY: `${SENTINEL}-aws-secret`,
  SLACK_WEBHOOK_URL: `${slack.url}/${SENTINEL}-slack`,
  WEBHOOK_URL: `${slack.url}/${SENTINEL}-webhook`,
  BACKUP_PING_URL: `${slack.url}/${SENTINEL}-ping`,
  SENTRY_URL: sentry.url,
  SENTRY_ORG: 'organization',
  SENTRY_PROJECT: 'project',
  SENTRY_AUTH_TOKEN: `${SENTINEL}-sentry`,
});
const { stack, registry } = d;
const backendList = join(stack.directory, 'nginx/upstreams/backend.conf');

const v1 = stack.variables.BACKEND_IMAGE!;
await d.publish('v2');
await d.publish('contracting-migration');
const secrets = [
  SENTINEL,
  stack.variables.POSTGRES_PASSWORD!,
  encodeURIComponent(stack.variables.POSTGRES_PASSWORD!),
];

function assertNotShown(where: string, text: string): void {
  for (const secret of secrets) assert.not(text.includes(secret), `a secret is in ${where}`);
}

/** Looks into every container that is not one of the stack's own while `body` runs. @returns the names of those seen */
async function inspectingOneOffs(body: () => Promise<void>): Promise<Set<string>> {
  const letGo = await lockOrders(stack); // or the migration would be over before it is looked at
  const seen = new Set<string>();
  let over = false;
  const own = `${stack.app}-production`;
  const look = async () => {
    while (!over) {
      const format = '{{.ID}} {{.Names}} {{.Label "com.docker.compose.project"}}';
      const lines = (await stack.docker('ps', '--all', '--no-trunc', '--format', format)).split('\n');
      for (const line of lines) {
        const [id = '', name = '', project] = line.split(' ');
        if (project === own) continue;
        const text = await stack.docker('inspect', id).catch(() => ''); // it is gone already
        if (!text.includes(`${registry.host}/`)) continue; // another test's
        seen.add(name);
        assertNotShown(`docker inspect ${name}`, text);
        if (name.endsWith('-migrate-production')) letGo();
      }
      await new Promise(resolve => setTimeout(resolve, 100));
    }
  };
  const looking = look();
  looking.catch(() => {}); // thrown below
  try {
    await body();
  } finally {
    over = true;
    letGo();
  }
  await looking;
  return seen;
}

/** Reads the list of backends over and over while `body` runs. @returns each list that there was, in turn */
async function watchingList<T>(body: () => Promise<T>): Promise<{ result: T; lists: string[][] }> {
  const lists: string[][] = [];
  const timer = setInterval(() => {
    const now = listed(stack);
    if (now.join() !== lists.at(-1)?.join()) lists.push(now);
  }, 5);
  try {
    return { result: await body(), lists };
  } finally {
    clearInterval(timer);
  }
}

test('two more instances serve, weights stay, and what runs is there again after a restart', async () => {
  const text = readFileSync(backendList, 'utf8');
  writeFileSync(backendList, text.replace('backend-1:3000 weight=1', 'backend-1:3000 weight=3'));
  await reload(stack);
  const { result, lists } = await watchingList(() =>
    whileVisited(stack, () => d.run('scale', ['4', '--json'])),
  );
  assert.is(result.code, 0, result.stderr);
  assert.equal(JSON.parse(result.stdout), {
    instances: 4,
    added: ['backend-3', 'backend-4'],
    removed: [],
    down: [],
  });
  assert.equal(lists.at(-1), ['backend-1', 'backend-2', 'backend-3', 'backend-4']);
  const weights = [...upstreams(stack).backend.matchAll(/^server (\S+):3000 weight=(\d)/gm)].map(m =>
    m.slice(1),
  );
  assert.equal(weights, [
    ['backend-1', '3'],
    ['backend-2', '1'],
    ['backend-3', '1'],
    ['backend-4', '1'],
  ]);
  await assertNothingLeft(d);

  const names = (await containers(stack)).map(line => line.split(' ')[0]!.slice(1));
  await stack.docker('restart', '--time', '5', ...names);
  const all = async () => (await d.run('health-check', ['--only', 'api,backend,versions'])).code === 0;
  await until('all serve again', all, 120);
  const answering = new Set<string>();
  await until('each of the four answers', async () => {
    const { headers } = await ask(stack, 'api', '/api/v1/whoami');
    answering.add(String(headers['x-instance']));
    await new Promise(resolve => setTimeout(resolve, 120));
    return answering.size === 4;
  });
});

test('a release with an instance more: never fewer serve, all four are replaced, and no secret is seen', async () => {
  let leaks: string[] = [];
  let programs: string[] = [];
  let oneOffs = new Set<string>();
  const { result: deployed, lists } = await watchingList(() =>
    whileVisited(stack, async () => {
      const run = d.start('deploy', ['2.0.0', '--surge', '--yes']);
      // Pull, backup, migration, an instance that is started and one that is replaced; the rest is more of the same.
      const enough = () => run.shows(/backend-2 \(2 of 4\)/);
      ({ leaks, programs } = await watchArguments(secrets, async () => {
        oneOffs = await inspectingOneOffs(enough);
      }));
      return run.ended;
    }),
  );
  const release = assertEnded(
    stack,
    deployed,
    0,
    'done',
    /deployment of 2\.0\.0: done in /,
    /canary +\d+ requests, 0 failed/,
  );
  assert.equal(release.migrations, ['20250201000000_order_note']);
  assert.match(release.backup!, new RegExp(`^${stack.app}_production_\\d{8}_\\d{6}`));
  assert.equal(
    lists.filter(list => list.length < 4),
    [],
  );
  assert.ok(lists.some(list => list.includes('backend-5')));
  assert.equal(lists.at(-1), ['backend-1', 'backend-2', 'backend-3', 'backend-4']);
  assert.match(upstreams(stack).backend, /backend-1:3000 weight=3 /);
  const images = (await containers(stack))
    .filter(line => /-backend-/.test(line))
    .map(line => line.split(' ')[2]);
  assert.is(images.length, 4);
  assert.is(new Set(images).size, 1);
  await assertNothingLeft(d);
  await assertHealthy(d);

  assert.equal(leaks, []);
  assert.ok(
    programs.some(name => name.endsWith('docker')),
    programs.join(),
  );
  assert.ok(
    [...oneOffs].some(name => name.endsWith('-migrate-production')),
    [...oneOffs].join(),
  );
  assertNotShown('the output', deployed.stdout + deployed.stderr);
  const files = globSync('{logs,state}/**', { cwd: stack.directory }).map(path =>
    join(stack.directory, path),
  );
  const kept = files.filter(path => statSync(path).isFile());
  assert.ok(kept.some(path => path.endsWith('deploy.log')));
  for (const path of kept) assertNotShown(path, readFileSync(path, 'utf8'));
});

test('Slack and Sentry have heard of it', () => {
  const told = slack.received.map(({ path, body }) => `${path} ${body}`);
  assert.ok(
    told.some(each => /-slack .*deployment of 2\.0\.0: done in/.test(each)),
    told.join('\n'),
  );
  assert.equal(
    sentry.received.map(({ method, path }) => `${method} ${path}`),
    [
      'POST /api/0/organizations/organization/releases/',
      'POST /api/0/organizations/organization/releases/2.0.0/deploys/',
    ],
  );
  const { version, projects } = JSON.parse(sentry.received[0]!.body);
  assert.equal([version, projects], ['2.0.0', ['project']]);
  assert.is(JSON.parse(sentry.received[1]!.body).environment, 'production');
});

test('back to two, and while one of them is replaced nobody else changes the scale', async () => {
  const { lists } = await watchingList(() =>
    whileVisited(stack, async () => {
      const { code, stderr } = await d.run('scale', ['2']);
      assert.is(code, 0, stderr);
    }),
  );
  assert.equal(lists.at(-1), ['backend-1', 'backend-2']);
  assert.match(upstreams(stack).backend, /backend-1:3000 weight=3 /);
  await assertNothingLeft(d);
});

/** By the deploy key, from a connection that is cut as soon as the first instance is out of the list. */
async function deployBySsh(tag: string): Promise<Ended> {
  const { DOCKER_HOST, DOCKER_CONFIG, PATH } = stack.engine.env as Record<string, string>;
  const env = { DOCKER_HOST: DOCKER_HOST!, DOCKER_CONFIG: DOCKER_CONFIG!, PATH: PATH! };
  const server = await startSshServer({}, undefined, { root: stack.directory, env });
  try {
    const connection = server.start([`deploy ${tag} --run 17`]);
    await killWhen(connection, () => listed(stack).length === 1);
    assert.is(journal(stack)!.release, tag, 'it goes on');
    return await server.run(['follow 17']);
  } finally {
    await server.stop();
  }
}

test('by SSH, over a connection that is lost; an unreachable Sentry is a warning; the images of the releases before stay, and other people’s', async () => {
  const foreign = `${registry.host}/shop/backend:somebody-elses`.replace('/shop/', '/other/');
  await stack.docker('tag', 'reference-backend:v1', foreign);
  stack.atExit(['image', 'rm', foreign]);
  // A name that an earlier release has left.
  const old = `${registry.host}/shop/backend:0.9.0`;
  await stack
    .docker('tag', 'reference-backend:never-ready', old)
    .catch(() => stack.docker('tag', 'node:24.21.0-bookworm-slim', old));
  sentry.answer = 500;
  const ended = await whileVisited(stack, () => deployBySsh('3.0.0'));
  assertEnded(stack, ended, 0, 'done', /could not tell Sentry: it answered 500/);
  const here = (await stack.docker('image', 'ls', '--format', '{{.Repository}}:{{.Tag}}')).split('\n');
  assert.ok(here.includes(foreign));
  assert.not(here.includes(old));
  for (const image of [v1, releases(stack)[0]!.images.backend, releases(stack)[1]!.images.backend])
    await stack.docker('image', 'inspect', image);
  await assertHealthy(d);
});

test('rollback.ts refuses to go back past a migration that takes something away, and goes with the database', async () => {
  const { backup } = releases(stack).at(-1)!;
  const list = await d.run('rollback', ['--list']);
  assert.match(list.stdout, /^→ +3\.0\.0 .* serves/m);
  assert.match(list.stdout, /2\.0\.0 .*with the database only: 20250201000000_drop_subtitle/);
  const refused = await d.run('rollback', ['--yes']);
  assert.is(refused.code, 2, refused.stderr);
  assert.match(refused.stderr, /2\.0\.0 can't live with what 20250201000000_drop_subtitle changed/);
  assert.match(refused.stderr, /--with-database BACKUP/);

  const before = await sql(stack, 'SELECT count(*) FROM orders');
  const ordered = crypto.randomUUID();
  await sql(stack, `INSERT INTO orders (id, instance) VALUES ('${ordered}', 'after the backup')`);
  const run = d.start('rollback', ['--with-database', backup!, '--yes']);
  await run.shows(/maintenance page: on/);
  assert.is((await ask(stack, 'api', '/api/v1/whoami')).status, 503);
  const ended = await run.ended;
  const release = assertEnded(stack, ended, 0, 'done', /maintenance page: off/);
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

test('the receivers stop', async () => {
  await Promise.all([slack.stop(), sentry.stop()]);
});

test.run();
