/**
 * From two instances to three and back, and a release with --surge; which notifications are sent, and that no secret is
 * shown.
 */
import { globSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { watchArguments } from '../support/core/cmdlines.ts';
import { until } from '../support/core/world.ts';
import { startReceiver } from '../support/notify/receiver.ts';
import {
  assertDrained,
  assertEnded,
  assertHealthy,
  assertNothingLeft,
  containers,
  listed,
  upstreams,
} from './lib/deploy-state.ts';
import { startDeployable } from './lib/deployable.ts';
import { ask } from './lib/http.ts';
import { reload } from './lib/puppet.ts';
import { lockOrders, whileVisited } from './lib/visitor.ts';

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
const { stack, registry, application } = d;
const port = application.backendPort;
const backendList = join(stack.directory, 'nginx/upstreams/backend.conf');

await d.publish('v2');
const secrets = [
  SENTINEL,
  stack.variables.POSTGRES_PASSWORD!,
  encodeURIComponent(stack.variables.POSTGRES_PASSWORD!),
  stack.variables.APP_DB_PASSWORD!,
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

test('one more instance serves, weights stay, and all instances are back after a restart', async () => {
  const text = readFileSync(backendList, 'utf8');
  writeFileSync(backendList, text.replace(`backend-1:${port} weight=1`, `backend-1:${port} weight=3`));
  await reload(stack);
  const { result, lists } = await watchingList(() =>
    whileVisited(stack, () => d.run('scale', ['3', '--json'])),
  );
  assert.is(result.code, 0, result.stderr);
  assert.equal(JSON.parse(result.stdout), {
    instances: 3,
    added: ['backend-3'],
    removed: [],
    down: [],
  });
  assert.equal(lists.at(-1), ['backend-1', 'backend-2', 'backend-3']);
  const weights = [...upstreams(stack).backend.matchAll(/^server (\S+:\d+) weight=(\d)/gm)].map(m =>
    m.slice(1),
  );
  assert.equal(weights, [
    [`backend-1:${port}`, '3'],
    [`backend-2:${port}`, '1'],
    [`backend-3:${port}`, '1'],
  ]);
  await assertNothingLeft(d);

  const names = (await containers(stack)).map(line => line.split(' ')[0]!.slice(1));
  await Promise.all(names.map(name => stack.docker('restart', '--time', '5', name)));
  const all = async () => (await d.run('health-check', ['--only', 'api,backend,versions'])).code === 0;
  await until('all serve again', all, 120);
  const answering = new Set<string>();
  await until('each of the three answers', async () => {
    const { headers } = await ask(stack, 'api', '/api/v1/whoami');
    answering.add(String(headers['x-instance']));
    await new Promise(resolve => setTimeout(resolve, 120));
    return answering.size === 3;
  });
});

test('a release with --surge: never fewer instances serve, all three are replaced, and no secret is shown', async () => {
  let leaks: string[] = [];
  let programs: string[] = [];
  let oneOffs = new Set<string>();
  const { result: deployed, lists } = await watchingList(() =>
    whileVisited(stack, async () => {
      const run = d.start('deploy', ['2.0.0', '--surge', '--yes']);
      // Pull, backup, migration, an instance that is started and one that is replaced; the rest is more of the same.
      const enough = () => run.shows(/backend-2 \(2 of 3\)/, 300);
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
  assertDrained(d, deployed);
  assert.equal(release.migrations, ['20250201000000_order_note']);
  assert.match(release.backup!, new RegExp(`^${stack.app}_production_\\d{8}_\\d{6}`));
  assert.equal(
    lists.filter(list => list.length < 3),
    [],
  );
  assert.ok(lists.some(list => list.includes('backend-4')));
  assert.equal(lists.at(-1), ['backend-1', 'backend-2', 'backend-3']);
  assert.ok(upstreams(stack).backend.includes(`backend-1:${port} weight=3 `));
  const images = (await containers(stack))
    .filter(line => /-backend-/.test(line))
    .map(line => line.split(' ')[2]);
  assert.is(images.length, 3);
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

test('Slack and Sentry are notified', () => {
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

test('back to two; no other scaling starts while the third one is drained', async () => {
  const { lists } = await watchingList(() =>
    whileVisited(stack, async () => {
      const pause = d.pauseDocker('http_requests_in_flight', 'before');
      const two = d.start('scale', ['2'], pause.env);
      await pause.reached(two);
      const four = await d.run('scale', ['4']);
      assert.is(four.code, 75, four.stderr);
      assert.match(four.stderr, new RegExp(`scale\\.ts, by \\w+ on .*, process ${two.child.pid}, since `));
      pause.go();
      const ended = await two.ended;
      assert.is(ended.code, 0, ended.stderr);
      assertDrained(d, ended);
    }),
  );
  assert.equal(lists, [
    ['backend-1', 'backend-2', 'backend-3'],
    ['backend-1', 'backend-2'],
  ]);
  assert.ok(upstreams(stack).backend.includes(`backend-1:${port} weight=3 `));
  await assertNothingLeft(d);
});

test('the receivers stop', async () => {
  await Promise.all([slack.stop(), sentry.stop()]);
});

test.run();
