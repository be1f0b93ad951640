/*
 * docs/SWITCH.md: each `bash` block of the page, in order, on an old installation with data. Its database sorts text by code
 * points, as musl does. Until visitors are let in, the way back is tried as well.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig } from '../../scripts/lib/config/config.ts';
import { percentEncoded } from '../../scripts/lib/core/format.ts';
import { freePort } from '../../scripts/lib/drill/free-port.ts';
import { startThrowawayS3 } from '../../scripts/lib/drill/throwaway-s3.ts';
import { locate, openStore } from '../../scripts/lib/s3/open-store.ts';
import { ensureImages } from '../images/images.ts';
import { type Ended, startProgram, until } from '../support/core/world.ts';
import { startPrivateCron } from '../support/schedule/private-cron.ts';
import { ask, json } from './lib/http.ts';
import { OLD_IMAGES, oldDumpOf, oldNames, startOldInstallation } from './lib/old-installation.ts';
import { envFile, layOut, ROOT, stackImages } from './lib/stack.ts';

const page = readFileSync(join(ROOT, 'docs/SWITCH.md'), 'utf8');
const cron = await startPrivateCron('Etc/UTC');
const s3 = await startThrowawayS3('neurmatic-backups');
const laidOut = await layOut('production', {
  ...(await stackImages()),
  ...s3.env,
  MIGRATE_COMMAND: 'node src/migrate.ts deploy',
});
const { app, directory, variables, engine } = laidOut;
// The old installation knows no role but the superuser.
delete variables.APP_DB_PASSWORD;
delete variables.BACKUP_DB_PASSWORD;
variables.DATABASE_URL = `postgresql://${variables.POSTGRES_USER}:${percentEncoded(variables.POSTGRES_PASSWORD!)}@postgres:5432/${app}_production`;
await ensureImages(engine, OLD_IMAGES);
const OLD_DUMP = oldDumpOf(app);
const old = await startOldInstallation(laidOut);
const ssl = join(old.directory, 'infrastructure/nginx/ssl/production');
const stack = { ...laidOut, ca: readFileSync(join(ssl, 'fullchain.pem'), 'utf8') };

/** The env file as the operator edits it; the old one has keys of the old scripts. */
const edited = envFile(variables);
const { POSTGRES_USER, POSTGRES_PASSWORD, REDIS_PASSWORD, JWT_SECRET } = variables as Record<string, string>;
writeFileSync(
  join(old.directory, '.env.production'),
  envFile({
    POSTGRES_USER: POSTGRES_USER!,
    POSTGRES_PASSWORD: POSTGRES_PASSWORD!,
    REDIS_PASSWORD: REDIS_PASSWORD!,
    JWT_SECRET: JWT_SECRET!,
    DB_NAME: `${app}_production`,
    RETENTION_DAYS: '30',
  }),
);
const store = await openStore(loadConfig('production', variables).s3!);
await store.client.putObject({
  ...locate(store, OLD_DUMP),
  Body: readFileSync(join(old.directory, 'backups', OLD_DUMP)),
});
const oldLine = `0 2 * * * ${old.directory}/infrastructure/scripts/backup.sh\n`;
const otherLine = '17 3 * * 1 true\n';
assert.is(cron.run(['crontab', '-'], oldLine + otherLine).code, 0);

const SQL = `CREATE TABLE word (id serial PRIMARY KEY, text text NOT NULL);
  CREATE UNIQUE INDEX ON word (text);
  INSERT INTO word (text) SELECT w || i FROM unnest(ARRAY['a', 'B', 'ä', 'Z', '_z', 'é', 'E', 'ß', 'a b', 'A-b']) AS w, generate_series(1, 300) AS i;
  CREATE SEQUENCE invoice START 4711; SELECT nextval('invoice');
  SELECT lo_from_bytea(20250106, decode(repeat('c0ffee', 1000), 'hex'));`;
/** What must be the same on both sides. */
const CONTENT = `SELECT string_agg(table_name || ':' || (xpath('/row/c/text()', query_to_xml(format(
    'SELECT count(*) || md5(string_agg(md5(t::text), '''' ORDER BY md5(t::text))) AS c FROM %I AS t', table_name), false, true, '')))[1]::text,
    ' ' ORDER BY table_name COLLATE "C") FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE';
  SELECT last_value FROM invoice; SELECT max(last_value) FROM word_id_seq; SELECT md5(lo_get(20250106))`;
const ORDER = `SELECT md5(string_agg(text, ',' ORDER BY text)) FROM word`;

async function sql(container: string, text: string): Promise<string> {
  const psql = [
    'psql',
    '-X',
    '-At',
    '-v',
    'ON_ERROR_STOP=1',
    '-U',
    POSTGRES_USER!,
    '-d',
    `${app}_production`,
  ];
  return stack.docker('exec', container, ...psql, '-c', text);
}
const redis = (container: string, ...words: string[]) =>
  stack.docker('exec', '--env', `REDISCLI_AUTH=${REDIS_PASSWORD}`, container, 'redis-cli', ...words);

await sql(stack.container('postgres'), SQL);
await redis(stack.container('redis'), 'set', 'session:7', 'somebody');

/** The blocks of a step: those that are run, and the way back. */
interface Step {
  title: string;
  lines: string[];
  back: string[];
}
const steps: Step[] = page
  .split(/^## (?=\d+\. )/m)
  .slice(1)
  .map(text => {
    const blocks = (pattern: RegExp) =>
      [...text.matchAll(pattern)].flatMap(([, block]) => block!.trim().split('\n'));
    return {
      title: text.split('\n')[0]!,
      lines: blocks(/^```bash\n([\s\S]*?)^```/gm),
      back: blocks(/\*\*Back:?\*\*[^`]*^```\n([\s\S]*?)^```/gm),
    };
  });

const ports = { 18080: await freePort(), 18443: await freePort() };
const here = (line: string) =>
  line
    .replaceAll('/opt/neurmatic-stack', directory)
    .replaceAll(/\/opt\/neurmatic(?![\w-])/g, old.directory)
    .replaceAll('neurmatic.com', stack.domain)
    .replaceAll(/(?<![\w.])neurmatic(?=[-_])(?!-backups)/g, app)
    .replaceAll(/\b(18080|18443)\b/g, port => `${ports[port as unknown as 18080]}`);

/** Runs a line as an operator pastes it; what reads a crontab, in the test's own. */
async function paste(line: string): Promise<Ended> {
  const command = here(line);
  if (/crontab|schedule\.ts/.test(command)) {
    const { code, stdout, stderr } = cron.run(['sh', '-c', `cd '${directory}' && ${command}`]);
    return { code, signal: null, stdout: `${stdout}`, stderr };
  }
  const env = { ...(engine.env as Record<string, string>), CURL_CA_BUNDLE: join(ssl, 'fullchain.pem') };
  return startProgram('bash', ['-c', command], env, { cwd: directory }).ended;
}

/** @returns what each line printed, on stdout and stderr */
async function runLines(lines: string[], codes = [0]): Promise<string[]> {
  const said: string[] = [];
  for (const line of lines) {
    const { code, stdout, stderr } = await paste(line);
    assert.ok(codes.includes(code!), `${line}: exit ${code}\n${stdout}\n${stderr}`);
    said.push(stdout + stderr);
  }
  return said;
}

/** Waits until the API has this status: a container that is started listens a little later. */
async function untilAnswered(path: string, expected: number): Promise<void> {
  const status = () => ask(stack, 'api', path).then(answer => answer.status, String);
  await until(`${path} has status ${expected}`, async () => (await status()) === expected);
}

/** Asks all the time while `body` runs. @returns the longest time without an answer, in milliseconds */
async function longestGap(body: () => Promise<unknown>): Promise<number> {
  let [last, gap, over] = [performance.now(), 0, false];
  const asking = (async () => {
    while (!over) {
      const answered = await ask(stack, 'site', '/').catch(() => undefined);
      if (answered) [gap, last] = [Math.max(gap, performance.now() - last), performance.now()];
      await sleep(20);
    }
  })();
  try {
    await body();
    await untilAnswered('/api/v1/articles', 503);
  } finally {
    over = true;
    await asking;
  }
  return Math.round(gap);
}

async function assertOldServes(renamed: boolean): Promise<void> {
  const names = oldNames(app, renamed ? 'old-' : '');
  assert.equal(await old.states(), Object.fromEntries(names.map(name => [name, true])));
  await untilAnswered('/api/v1/articles', 200);
  assert.is((await ask(stack, 'site', '/')).status, 200);
  const id = crypto.randomUUID();
  assert.is((await ask(stack, 'api', '/api/v1/orders', json({ id }))).status, 201);
  const name = names.at(-1)!;
  assert.is(await sql(name, `SELECT count(*) FROM orders WHERE id::text = '${id}'`), '1');
}

/** @returns the restart policies of the old containers, each once */
async function restartPolicies(): Promise<string[]> {
  const format = ['--format', '{{.HostConfig.RestartPolicy.Name}}'];
  return [
    ...new Set((await stack.docker('inspect', ...format, ...oldNames(app, 'old-'))).trim().split('\n')),
  ];
}

async function oldInstallation(): Promise<{ status: string; message: string }> {
  const { stdout } = await paste('./scripts/health-check.ts --only old-installation --json');
  return JSON.parse(stdout).services['old-installation'];
}

const oldPostgres = `${app}-old-postgres-production`;
let content = '';

/** What else holds after a step. @param said what each of its lines printed */
const after: Record<number, (said: string[]) => Promise<void> | void> = {
  3: ([said]) => assert.match(said!, /off-site copy: done/),
  4: said => {
    assert.match(said.at(-1)!, new RegExp(`^ +${directory}/backups/${OLD_DUMP}$`, 'm'));
    assert.match(said.at(-1)!, new RegExp(`s3://neurmatic-backups/database/${OLD_DUMP}`));
  },
  6: async () => {
    const { status, message } = await oldInstallation();
    assert.is(status, 'critical');
    const old = [oldPostgres, `${app}_postgres_production_data`];
    const wrong = `the database ${app}_production has no tables, and the data of the old installation is not moved: ${old.join(', ')}`;
    assert.is(message, wrong);
    // Its migrations would make the database look like the one that is missing.
    const { code, stderr } = await paste('./scripts/deploy.ts 2.0.0 --plan');
    assert.is(code, 1);
    assert.ok(stderr.includes(wrong), stderr);
  },
  7: async () => assert.is((await oldInstallation()).status, 'ok'),
  8: said => {
    assert.match(said.at(-2)!, /^503$/m);
  },
  9: async () => {
    await untilAnswered('/api/v1/articles', 503);
    content = await sql(oldPostgres, CONTENT);
  },
  10: async () => {
    assert.is(await sql(stack.container('postgres'), CONTENT), content);
    assert.is(await sql(oldPostgres, CONTENT), content);
    // The servers sort differently, so a copied index would be wrong; each of the new ones is in its order.
    const [before, now] = await Promise.all(
      [oldPostgres, stack.container('postgres')].map(each => sql(each, ORDER)),
    );
    assert.is.not(now, before);
    await sql(stack.container('postgres'), 'CREATE EXTENSION amcheck');
    const check = `SELECT count(bt_index_check(c.oid, true)) FROM pg_class AS c JOIN pg_am AS a ON a.oid = relam WHERE amname = 'btree' AND relkind = 'i'`;
    await sql(stack.container('postgres'), check);
    await sql(stack.container('postgres'), 'DROP EXTENSION amcheck');
  },
  11: async () => assert.match(await redis(stack.container('redis'), 'get', 'session:7'), /somebody/),
  12: async () => {
    assert.is((await ask(stack, 'api', '/api/v1/articles')).status, 200);
    assert.is((await ask(stack, 'site', '/')).status, 200);
    assert.is((await ask(stack, 'api', '/api/v1/orders', json({ id: crypto.randomUUID() }))).status, 201);
    assert.is(await sql(stack.container('postgres'), `SELECT nextval('invoice')`), '4712');
  },
  13: said => {
    assert.match(cron.run(['crontab', '-l']).stdout.toString(), /backup\.ts/);
    assert.match(cron.run(['crontab', '-l']).stdout.toString(), otherLine);
    assert.not.match(said.at(-1)!, /critical(?! 0)/);
  },
  14: async () => {
    assert.equal(await old.states(), {});
    const volumes = ['volume', 'ls', '--filter', `label=com.docker.compose.project=${app}`, '--quiet'];
    assert.match(await stack.docker(...volumes), new RegExp(`^${app}_postgres_production_data$`, 'm'));
    await untilAnswered('/api/v1/articles', 200);
  },
};

test('the page has its fourteen steps, and commands in each', () => {
  assert.equal(
    steps.map(({ title }) => Number.parseInt(title, 10)),
    Array.from({ length: 14 }, (_, index) => index + 1),
  );
  for (const { title, lines } of steps) assert.ok(lines.length > 0, title);
});

for (const [index, { title, lines, back }] of steps.entries()) {
  const number = index + 1;
  test(`step ${title}`, async () => {
    if (number === 1) await runLines(lines.slice(0, 2));
    if (number === 1) rmSync(join(directory, '.env.production.app'));
    if (number === 1) writeFileSync(join(directory, '.env.production'), edited, { mode: 0o600 });
    const said = await runLines(number === 1 ? lines.slice(2) : lines, number === 13 ? [0, 1] : [0]);
    if (number === 5) {
      await runLines(back);
      await assertOldServes(false);
      await runLines(lines);
    }
    if (number === 9) {
      assert.equal(await restartPolicies(), ['no'], 'a reboot does not start them');
      await runLines(back);
      await assertOldServes(true);
      assert.equal(await restartPolicies(), ['always']);
      const gap = await longestGap(() => runLines(lines));
      console.log(`the ports were closed for ${gap} ms at most`);
    }
    if (number < 9) await assertOldServes(number >= 5);
    else if (number < 14)
      assert.equal(Object.keys(await old.states()).sort(), oldNames(app, 'old-').sort(), 'none is removed');
    await after[number]?.(said);
    assert.ok(existsSync(join(old.directory, `backups/${OLD_DUMP}`)));
  });
}

test('the new PostgreSQL refuses the old data directory, and leaves it as it is', async () => {
  const volume = `${app}_postgres_production_data`;
  const run = ['run', '--rm', '--network', 'none', '--volume'];
  const list = () =>
    stack.docker(
      ...run,
      `${volume}:/old:ro`,
      OLD_IMAGES[0]!,
      'sh',
      '-c',
      'find /old -type f | sort | xargs md5sum | md5sum',
    );
  const before = await list();
  const image = await stack.docker('inspect', '--format', '{{.Config.Image}}', stack.container('postgres'));
  const place = [`${volume}:/var/lib/postgresql/data`, '--user', 'postgres', '--env', 'POSTGRES_PASSWORD=x'];
  const error = await stack.docker(...run, ...place, image.trim(), 'postgres').catch(String);
  assert.match(error, /exited [12]:[\s\S]*(ermission denied|wrong ownership)/);
  assert.is(await list(), before);
});

test('the servers stop', async () => {
  await Promise.all([cron.stop(), s3.stop()]);
});

test.run();
