/*
 * The update of a running server from version 0.1.0, whose Compose and Nginx files are in test/upgrade/stack-0.1.0: a real
 * `git pull`, then the commands of CHANGELOG.md, in its order, while visitors are there. Then a release is deployed. What is
 * refused on the way says the next command of the page.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import type { LookupFunction } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { io, type Socket } from 'socket.io-client';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { percentEncoded } from '../../../scripts/lib/core/format.ts';
import { startThrowawayS3 } from '../../../scripts/lib/drill/throwaway-s3.ts';
import { attempt } from '../../engine/process.ts';
import { certificatesOf } from '../../stack/lib/certificates.ts';
import { containers } from '../../stack/lib/deploy-state.ts';
import { startDeployable } from '../../stack/lib/deployable.ts';
import { ask, dial, hostOf } from '../../stack/lib/http.ts';
import { cloneOf, succeeds, toOldVersion, writeDomain } from '../../stack/lib/old-version.ts';
import { ROOT } from '../../stack/lib/stack.ts';
import { explained, sql, startVisitor, type Visitor } from '../../stack/lib/visitor.ts';
import { REFERENCE } from '../../support/app/app-images.ts';
import { type Ended, startProgram, until } from '../../support/core/world.ts';
import { startPrivateCron } from '../../support/schedule/private-cron.ts';

const DOMAIN = 'acme.example';
/** The part of CHANGELOG.md on the version that 0.1.0 is updated to. */
const page = /^## 0\.2\.0\n(.*?)^Changed:/ms.exec(readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8'))![1]!;
/** Its code spans that are commands or lines of .env.production, in order. */
const commands = [
  ...page
    .replaceAll(/^```[\s\S]*?^```/gm, '')
    .replaceAll(/\s*\n\s+/g, ' ')
    .matchAll(/`([^`]+)`/g),
]
  .map(([, span]) => span!)
  .filter(span =>
    /^(\.\/scripts\/\S+\.ts |\.\/scripts\/database|docker compose -f|git checkout|chmod|[A-Z_]+=)/.test(span),
  )
  .filter(span => !/=staging$/.test(span));
const back = /^```bash\n([\s\S]*?)^```/m.exec(page)![1]!.trim().split('\n');
const commandOf = (pattern: RegExp) => commands.find(each => pattern.test(each))!;
const [CHECKOUT, SPLIT, WRITE, NGINX, ROLES, ISSUE, INSTALL, REMOVE] = [
  /^git checkout/,
  /--split$/,
  /--write$/,
  /^docker compose .* nginx$/,
  /database-roles/,
  /certificates\.ts issue$/,
  /schedule\.ts install$/,
  /schedule\.ts remove$/,
].map(commandOf) as [string, string, string, string, string, string, string, string];

const s3 = await startThrowawayS3('backups');
const POSTGRES_PASSWORD = `p@ss/w0rd#${crypto.randomUUID()}`;
const REDIS_PASSWORD = crypto.randomUUID();
const SIGNING_KEY = crypto.randomUUID().replaceAll('-', '').repeat(2);
const {
  stack,
  publish,
  run: runScript,
} = await startDeployable(
  {
    ...s3.env,
    DOMAIN,
    POSTGRES_DB: 'shop',
    POSTGRES_PASSWORD,
    REDIS_PASSWORD,
    BACKUP_SIGNING_KEY: SIGNING_KEY,
    DATABASE_URL: `postgresql://acme:${percentEncoded(POSTGRES_PASSWORD)}@postgres:5432/shop?connection_limit=10`,
    REDIS_URL: `redis://:${REDIS_PASSWORD}@redis:6379`,
  },
  { keepalive: '5s', application: REFERENCE, edit: directory => toOldVersion(directory, DOMAIN) },
);
const { directory, engine } = stack;
const { tag } = await publish('v2');
const env = { ...(engine.env as Record<string, string>) };
const paste = (command: string): Promise<Ended> =>
  startProgram('bash', ['-c', command], env, { cwd: directory }).ended;
const deploy = (release = tag) => runScript('deploy', [release, '--yes']);
const envPath = join(directory, '.env.production');

const { git, pull } = await cloneOf(directory);

const CONTENT =
  "SELECT count(*), md5(string_agg(l::text, '' ORDER BY id)), (SELECT last_value FROM ledger_id_seq) FROM ledger AS l";
await sql(
  stack,
  `CREATE TABLE ledger (id serial PRIMARY KEY, note text); INSERT INTO ledger (note) SELECT md5(i::text) FROM generate_series(1, 20000) AS i`,
);
const content = await sql(stack, CONTENT);
const old = await containers(stack);
const environmentOf = async (service: string) => (await stack.exec(service, 'env')).stdout;
const users = () =>
  sql(
    stack,
    `SELECT string_agg(DISTINCT usename, ' ') FROM pg_stat_activity WHERE datname = 'shop' AND pid <> pg_backend_pid()`,
  );

/** @returns whether somebody who comes now is greeted */
async function greeted(): Promise<boolean> {
  const greeting = dial(stack, hostOf(stack, 'site')).then(
    socket => socket.destroy().destroyed,
    () => false,
  );
  return Promise.race([greeting, sleep(1_000, false)]);
}

/** Greets all the time while `body` runs. @returns the longest time without, in milliseconds, and the whole time */
async function longestGap(body: () => Promise<unknown>) {
  const began = new Date();
  let [last, gap, over] = [performance.now(), 0, false];
  const asking = (async () => {
    for (let is = false; !over || !is; await sleep(20)) {
      is = await greeted();
      if (is) [gap, last] = [Math.max(gap, performance.now() - last), performance.now()];
    }
  })();
  try {
    await body();
    await until(
      'Nginx answers',
      async () => (await ask(stack, 'api', '/api/v1/whoami').catch(() => undefined))?.status === 200,
    );
  } finally {
    over = true;
    await asking;
  }
  return { gap: Math.round(gap), began, ended: new Date() };
}

const lookup: LookupFunction = (_host, { all }, done) =>
  all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4);
let visitor: Visitor;
let socket: Socket;
const replaced: { gap: number; began: Date; ended: Date }[] = [];

test('the page has its commands, in order', () => {
  const order = [CHECKOUT, SPLIT, WRITE, NGINX, 'DEPLOY_ENV=production', 'chmod 600 .env.*', ROLES, WRITE];
  const last = [
    './scripts/certificates.ts issue',
    './scripts/schedule.ts install',
    './scripts/schedule.ts remove',
  ];
  assert.equal(commands, [...order, ...last]);
  assert.is(back.length, 3);
});

test('version 0.1.0 serves, and its backends have the secrets of the scripts', async () => {
  assert.match(await environmentOf('backend-1'), /AWS_SECRET_ACCESS_KEY=.+/);
  assert.is(await users(), 'acme');
});

test('an Nginx that starts again between the pull and step 4 does not serve, as the page says, and does with the earlier commit', async () => {
  await succeeds(git('stash', '-q'));
  await succeeds(pull());
  await stack.docker('restart', stack.container('nginx'));
  await until('Nginx has failed', async () => /settings/.test((await logs()).slice(-3_000)));
  assert.not(await greeted());
  await succeeds(git('reset', '-q', '--hard', 'HEAD~1'));
  await succeeds(git('stash', 'pop', '-q'));
  await stack.docker('restart', stack.container('nginx'));
  await until(
    'Nginx answers',
    async () => (await ask(stack, 'api', '/api/v1/whoami').catch(() => undefined))?.status === 200,
  );
});
async function logs(): Promise<string> {
  const { stdout, stderr } = await attempt('docker', ['logs', '--tail', '50', stack.container('nginx')], {
    env,
  });
  return stdout + stderr;
}

test('step 1 and the pull: the domain is in the env file, and Git takes the new files', async () => {
  visitor = startVisitor(stack);
  socket = io(`https://${hostOf(stack, 'api')}:${stack.httpsPort}`, {
    transports: ['websocket'],
    agent: new Agent({ lookup, ca: stack.ca }) as never,
  });
  await until('a WebSocket is open', () => socket.connected);
  appendFileSync(envPath, `DOMAIN=${DOMAIN}\n`);
  const refused = await pull();
  assert.is.not(refused.code, 0);
  assert.match(refused.stderr, /local changes.*nginx\/production\.conf/s);
  // There is no file of staging here.
  await succeeds(git(...CHECKOUT.split(' ').slice(1, -1)));
  await succeeds(pull());
});

test('before step 2, nothing is started, and deploy.ts says what to do', async () => {
  const before = await containers(stack);
  const up = await paste('docker compose -f docker-compose.production.yml --env-file .env.production up -d');
  assert.is.not(up.code, 0);
  assert.match(up.stderr, /\.env\.production\.app/);
  assert.equal(await containers(stack), before);
  await refused(SPLIT);
});

/** Deploys, which must be refused with this command. */
async function refused(command: string): Promise<void> {
  const [before, { code, stderr }] = [await containers(stack), await deploy()];
  assert.is.not(code, 0);
  assert.ok(stderr.replaceAll(`${directory}/`, './').includes(command), stderr);
  assert.not.match(stderr, /correct nginx\//); // its files are right, its container is not
  assert.equal(await containers(stack), before);
}

test('step 2: the variables of the application move', async () => {
  const { code, stdout, stderr } = await paste(SPLIT);
  assert.is(code, 0, stderr);
  assert.match(stdout, /moved to .*JWT_SECRET/);
});

test('step 3: URLs that are right stay', async () => {
  const { code, stdout, stderr } = await paste(WRITE);
  assert.is(code, 0, stderr);
  assert.match(stdout, /DATABASE_URL +unchanged/);
});

test('before step 4, deploy.ts says what to do', () => refused('up -d --timeout=5 nginx'));

test('step 4: Nginx is replaced, which takes some seconds though a WebSocket is open', async () => {
  const names = (list: string[]) =>
    list.filter(line => !line.includes('-nginx-')).map(line => line.split(' ')[1]);
  await replaceNginx(NGINX);
  assert.equal(names(await containers(stack)), names(old), 'only Nginx is another container');
  await until('the WebSocket is open again', () => socket.connected);
});

/** The `stop_grace_period` of Nginx, in milliseconds: as long as it would wait for the WebSocket. */
const GRACE = 40_000;

async function replaceNginx(command: string): Promise<void> {
  const gap = await longestGap(async () => {
    const { code, stderr } = await paste(command);
    assert.is(code, 0, stderr);
  });
  replaced.push(gap);
  assert.ok(gap.gap < GRACE, `${gap.gap} ms`);
  console.log(`» nobody was greeted for ${gap.gap} ms while Nginx was replaced`);
}

test('the rest of the page', async () => {
  appendFileSync(envPath, 'DEPLOY_ENV=production\n');
  for (const command of ['chmod 600 .env.*', `${ROLES} --yes`, WRITE]) {
    const { code, stderr } = await paste(command);
    assert.is(code, 0, stderr);
  }
});

test('a deployment of the release that runs gives no backend its new variables', async () => {
  const { code, stderr } = await deploy('1.0.0');
  assert.is(code, 0, stderr);
  assert.is(await users(), 'acme');
});

test('a release is deployed, with a backup', async () => {
  const { code, stderr } = await deploy();
  assert.is(code, 0, stderr);
  assert.is(await users(), stack.app.replaceAll('-', '_'), 'the application connects as its role');
  for (const service of ['backend-1', 'backend-2']) {
    const has = await environmentOf(service);
    for (const secret of [POSTGRES_PASSWORD, percentEncoded(POSTGRES_PASSWORD), SIGNING_KEY, 'AWS_'])
      assert.not(has.includes(secret), `${service} has ${secret}`);
    assert.match(has, /^JWT_SECRET=.+/m);
  }
});

test('the backup and the health check', async () => {
  const backup = await runScript('backup', []);
  assert.is(backup.code, 0, backup.stderr);
  const { stdout } = await runScript('health-check', ['--json']);
  const { services } = JSON.parse(stdout) as {
    services: Record<string, { status: string; message: string }>;
  };
  const wrong = Object.entries(services).filter(([, { status }]) => status !== 'ok');
  assert.equal(
    wrong.map(([name]) => name),
    ['certificate'], // the temporary one
  );
});

test('step 9: a certificate is issued while visitors are there, and the schedule renews it', async () => {
  const { pebble, settings, shown, stop } = await certificatesOf(stack);
  stack.ca += readFileSync(pebble.caFile, 'utf8'); // of the visitors, who verify what they are shown
  const { code, stderr } = await startProgram(
    'bash',
    ['-c', ISSUE],
    { ...env, ...settings },
    { cwd: directory },
  ).ended;
  assert.is(code, 0, stderr);
  assert.match((await shown()).issuer, /Pebble/);
  const check = `./scripts/health-check.ts --only certificate`;
  const trusting = { ...env, NODE_EXTRA_CA_CERTS: pebble.caFile };
  const health = await startProgram('bash', ['-c', check], trusting, { cwd: directory }).ended;
  assert.is(health.code, 0, health.stdout);

  const cron = await startPrivateCron('UTC'); // the machine's crontab is not touched
  try {
    const runs = (command: string) =>
      assert.is(cron.run(['bash', '-c', `cd '${directory}' && ${command}`]).code, 0);
    const crontab = () => `${cron.run(['crontab', '-l']).stdout}`;
    runs(INSTALL);
    const own = /^# certificates: .*\n.*certificates\.ts' --env production renew .*\n/m;
    assert.match(crontab(), own);
    // As version 0.1.0 has left it, which has no such job.
    assert.is(cron.run(['crontab', '-'], crontab().replace(own, '')).code, 0);
    assert.not.match(crontab(), own);
    runs(INSTALL);
    assert.match(crontab(), own);
    runs(REMOVE); // of step 10, where the schedule moves to another user
    assert.is(crontab(), '');
  } finally {
    await cron.stop();
    await stop();
  }
});

test('the way back: Nginx serves with the files of 0.1.0, and its backends would get all that they need', async () => {
  const [variables, checkout, nginx] = back as [string, string, string];
  for (const command of [variables, checkout.replace('$EARLIER_COMMIT', 'HEAD~1')]) {
    const { code, stderr } = await paste(command);
    assert.is(code, 0, stderr);
  }
  writeDomain(directory, DOMAIN);
  await replaceNginx(nginx);
  assert.not(
    JSON.parse(await stack.docker('inspect', stack.container('nginx')))[0].Config.Env.some((each: string) =>
      each.startsWith('DOMAIN='),
    ),
  );
  const { services } = JSON.parse(await stack.compose('config', '--format', 'json'));
  const { JWT_SECRET, DATABASE_URL } = services['backend-1'].environment;
  assert.ok(JWT_SECRET && DATABASE_URL);
});

test('no request has failed but while Nginx was replaced, and the data is equal', async () => {
  await visitor.leave();
  socket.disconnect();
  const during = visitor.failures.filter(line =>
    replaced.some(({ began, ended }) => line >= began.toISOString() && line <= ended.toISOString()),
  );
  console.log(`» ${during.length} requests failed while Nginx was replaced, ${visitor.ordered()} orders`);
  const others = visitor.failures.filter(line => !during.includes(line));
  assert.equal(others, [], await explained(stack, others));
  assert.is(await sql(stack, CONTENT), content);
});

test.after(() => s3.stop());
test.run();
