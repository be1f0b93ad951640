/* maintenance.ts weekly: it removes what is old and this environment's, and nothing else. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { manifestName } from '../../scripts/lib/backup/manifest.ts';
import { stamp } from '../../scripts/lib/core/format.ts';
import { withLock } from '../../scripts/lib/core/lock.ts';
import { executeHere } from '../support/cli/execute-here.ts';
import { makeBackup } from '../support/core/in-process.ts';
import { createWorld } from '../support/core/world.ts';
import { dockerImages } from '../support/maintenance/docker-images.ts';
import { startReceiver } from '../support/notify/receiver.ts';
import { databases } from '../support/postgres/compare.ts';

const world = await createWorld();
test.after(world.stop);
const receiver = await startReceiver();
test.after(receiver.stop);
const docker = dockerImages(world.directory);
const DAY = 86_400_000;
const [BACKEND, FRONTEND] = ['registry.example/acme/backend', 'registry.example/acme/frontend'];
const digest = (name: string) => `sha256:${Buffer.from(name).toString('hex').padEnd(64, '0')}`;
const pinned = (repository: string, release: string) => `${repository}@${digest(release)}`;
const imagesOf = (release: string) => ({
  backend: pinned(BACKEND, release),
  frontend: pinned(FRONTEND, release),
});
const env = {
  ...world.env,
  PATH: `${docker.bin}:${world.env.PATH}`,
  APP_NAME: 'acme',
  BACKEND_IMAGE: imagesOf('v6').backend,
  FRONTEND_IMAGE: imagesOf('v6').frontend,
};
const weekly = (args: string[] = [], more = {}) =>
  executeHere('maintenance', ['weekly', ...args], { ...env, ...more });
const { BACKUP_DIR, STATE_DIR, LOG_DIR } = world.env as Record<string, string>;
const tree = () =>
  [BACKUP_DIR, STATE_DIR, LOG_DIR].map(path => readdirSync(path!, { recursive: true }).map(String).sort());

/** The release before the first one, by tags, which mean other images now. */
const MOVED = { backend: `${BACKEND}:moved`, frontend: `${FRONTEND}:moved` };

const release = (name: string, at: number, environment = 'production') =>
  JSON.stringify({
    ...{ time: new Date(Date.now() - at * DAY).toISOString(), environment, kind: 'deploy', release: name },
    ...{
      images: imagesOf(name),
      previous: environment === 'staging' ? imagesOf('v0') : MOVED,
      migrations: [],
      contracting: [],
    },
    ...{ backup: null, by: 'me', outcome: 'done', seconds: 1, canary: null },
  });

function aged(path: string, days: number, text = '') {
  writeFileSync(path, text);
  const time = new Date(Date.now() - days * DAY);
  utimesSync(path, time, time);
}

const KEPT = {
  old: `app_before_${stamp(new Date(Date.now() - 20 * DAY))}`,
  young: `app_before_${stamp(new Date(Date.now() - DAY))}`,
};
const OTHERS = ['other_before_20200101_000000', 'app_before_noon', 'app_backup_20200101_000000'];
/** The id of a backup that never was whole. */
const UNFINISHED = 'acme_production_20260101_000000';

/** A server after some months. */
async function litter(): Promise<string> {
  await world.sql(`CREATE TABLE t (i int PRIMARY KEY, j int, filler text);
    INSERT INTO t SELECT i, i, repeat('x', 150) FROM generate_series(1, 100000) AS i;
    CREATE INDEX never_used ON t (j); ANALYZE t; DELETE FROM t WHERE i % 20 <> 0`);
  for (const name of [KEPT.old, KEPT.young, ...OTHERS])
    await world.sql(`CREATE DATABASE ${name} STRATEGY FILE_COPY`, 'postgres');
  const backup = await makeBackup({ ...world, env }, { upload: false });
  for (const directory of [STATE_DIR, LOG_DIR]) mkdirSync(directory!, { recursive: true });
  mkdirSync(join(BACKUP_DIR!, '.fetched-production'));
  writeFileSync(join(BACKUP_DIR!, `${manifestName(UNFINISHED)}.partial`), '');
  writeFileSync(join(BACKUP_DIR!, `${UNFINISHED}.sql.gz.partial`), 'half');
  for (const name of ['theirs.sql.gz', 'acme_staging_20260101_000000.sql.gz', 'theirs.dump.partial'])
    aged(join(BACKUP_DIR!, name), 400);
  aged(join(STATE_DIR!, 'old.json.partial'), 3);
  aged(join(STATE_DIR!, 'new.json.partial'), 0.5);
  writeFileSync(join(LOG_DIR!, 'other.log'), 'x');
  truncateSync(join(LOG_DIR!, 'other.log'), 11e6);
  const lines = ['v1', 'v2', 'v3', 'v4', 'v5', 'v6'].map((name, at) => release(name, 60 - at));
  writeFileSync(
    join(STATE_DIR!, 'releases.jsonl'),
    `${[...lines, release('v2', 9, 'staging')].join('\n')}\n`,
  );
  const both = (name: string) =>
    Object.fromEntries(
      [BACKEND, FRONTEND].map(repository => [
        `sha256:id-${repository.split('/').at(-1)}-${name}`,
        { names: [`${repository}:${name}`, pinned(repository, name)], size: 1e8 },
      ]),
    );
  docker.write({
    images: {
      ...Object.assign({}, ...['v1', 'v2', 'v3', 'v4', 'v5', 'v6', 'by-hand', 'moved'].map(both)),
      'sha256:id-backend-v1': {
        names: [`${BACKEND}:v1`, pinned(BACKEND, 'v1'), 'other.example/copy:v1'],
        size: 1e8,
      },
      'sha256:theirs': {
        names: ['other.example/acme/backend:v1', 'registry.example/acme/backend-tools:v1'],
        size: 1e8,
      },
      'sha256:postgres': { names: ['postgres:15.1'], size: 1e8 },
    },
    containers: ['sha256:id-backend-v6', 'sha256:id-frontend-v3', 'sha256:postgres'],
  });
  return backup.id;
}
const backupId = await litter();

const look = async () => ({ tree: tree(), databases: await databases(world), docker: docker.read() });

test('--dry-run shows all that would be done, and changes nothing', async () => {
  const before = await look();
  const { code, stdout, stderr } = await weekly(['--dry-run', '--kept-days', '7']);
  assert.is(code, 0, stderr);
  assert.match(stdout, /^images +3 images of old releases, .* with what they share$/m);
  assert.match(stdout, /would remove backend:v1 \(/);
  assert.match(
    stdout,
    /4 images of the same repositories \(.*\) that no release of production has used stay: backend:by-hand, frontend:by-hand, backend:moved, frontend:moved$/m,
  );
  assert.match(stdout, new RegExp(`would drop ${KEPT.old} \\(.*, 20 d old\\)`));
  assert.match(stdout, new RegExp(`- ${KEPT.young} .* stays$`, 'm'));
  assert.match(stdout, /would rotate .*other\.log \(/);
  assert.match(stdout, new RegExp(`would remove the files of backups that never were whole: ${UNFINISHED}`));
  assert.match(stdout, /would remove directory .*\.fetched-production/);
  assert.match(stdout, /would VACUUM \(ANALYZE\) app/);
  assert.equal(await look(), before);
});

test('without a terminal it wants --yes; while another run holds the lock it is 75; nothing changes', async () => {
  const before = await look();
  assert.is((await weekly()).code, 2);
  assert.is((await weekly(['--kept-days', '0', '--yes'])).code, 2);
  await withLock(STATE_DIR!, 'production', 'a backup', async () => {
    assert.is((await weekly(['--yes'])).code, 75);
  });
  const after = await look();
  assert.equal({ ...after, tree: after.tree[0] }, { ...before, tree: before.tree[0] });
});

test('images of old releases go; what serves, what rollback needs, and what is not of this environment stays', async () => {
  const { code, stderr, stdout } = await weekly(['--yes', '--json']);
  assert.is(code, 0, stderr);
  const names = Object.values(docker.read().images).flatMap(image => image.names);
  const kept = ['v3', 'v4', 'v5', 'v6'].map(name => `frontend:${name}`);
  for (const name of [...kept, 'frontend:v2', 'backend:v2', 'backend:by-hand', 'backend:moved', 'backend:v4'])
    assert.ok(names.includes(`registry.example/acme/${name}`), `${name} stays`);
  const gone = ['frontend:v1', 'backend:v1', 'backend:v3'];
  for (const name of gone) assert.not(names.includes(`registry.example/acme/${name}`), `${name} goes`);
  const theirs = [
    'other.example/copy:v1',
    'other.example/acme/backend:v1',
    'registry.example/acme/backend-tools:v1',
    'postgres:15.1',
  ];
  for (const name of theirs) assert.ok(names.includes(name), `${name} is another project’s`);
  assert.equal(
    docker
      .read()
      .changes.filter(each => !/^image rm registry\.example\/acme\/(backend|frontend)[:@]/.test(each)),
    [],
  );
  const { tasks } = JSON.parse(stdout);
  assert.equal(
    tasks.map(({ task }: { task: string }) => task),
    ['images', 'logs', 'temporary', 'databases', 'vacuum', 'tables', 'disk'],
  );
  assert.match(tasks[4].done[0], /^VACUUM \(ANALYZE\) app in .*: [\d,]+ → 0 dead rows$/);
  assert.match(
    tasks[5].notes.join('\n'),
    /table public\.t has about .* of .* unused: VACUUM \(FULL\) public\.t/,
  );
  assert.match(tasks[5].notes.join('\n'), /index public\.never_used of public\.t \(.*\) was not used for/);
  assert.not.match(tasks[5].notes.join('\n'), /t_pkey/);
  assert.match(tasks[6].notes.join('\n'), /Docker’s images: 2MB in 2, 1 in use/);
});

test('leftovers are gone; a backup, a file of others and a kept database are not, unless it is asked for', async () => {
  const [backups, state, logs] = tree();
  assert.not(backups!.some(name => name.includes('partial') && name.startsWith(UNFINISHED)));
  assert.not(backups!.includes('.fetched-production'));
  assert.ok(existsSync(join(BACKUP_DIR!, manifestName(backupId))));
  for (const name of ['theirs.sql.gz', 'acme_staging_20260101_000000.sql.gz', 'theirs.dump.partial'])
    assert.ok(backups!.includes(name), name);
  assert.not(state!.includes('old.json.partial'));
  assert.ok(state!.includes('new.json.partial'));
  assert.ok(logs!.includes('other.log.1'));
  assert.ok((await databases(world)).includes(KEPT.old));

  const { code, stdout } = await weekly(['--yes', '--kept-days', '7']);
  assert.is(code, 0);
  assert.match(
    stdout,
    new RegExp(
      `^databases +2 databases kept by restores\\n.*${KEPT.young}.* stays\\n  \\+ drop ${KEPT.old} `,
      'm',
    ),
  );
  assert.match(stdout, /^images +0 images of old releases$/m);
  const left = await databases(world);
  assert.equal(left, [...left.filter(name => name !== KEPT.old)]);
  for (const name of [KEPT.young, ...OTHERS]) assert.ok(left.includes(name), name);
});

test('a task that fails is said, and the others are done; without images it is not configured', async () => {
  const journal = join(STATE_DIR!, 'production.deploy.json');
  writeFileSync(
    journal,
    JSON.stringify({ ...JSON.parse(release('v7', 0)), step: 'roll', servers: [], surge: null, unwell: [] }),
  );
  receiver.received.length = 0;
  const failed = await weekly(['--yes'], { WEBHOOK_URL: receiver.url });
  assert.match(receiver.received[0]!.body, /weekly maintenance FAILED: images"/);
  assert.is(failed.code, 1, failed.stderr);
  assert.match(
    failed.stdout,
    /^images +FAILED\n {2}! a deploy of v7 was interrupted .*\n.*deploy\.ts --resume/m,
  );
  assert.match(failed.stdout, /\+ VACUUM \(ANALYZE\) app/);
  const { code, stdout } = await weekly(['--dry-run'], { BACKEND_IMAGE: '' });
  assert.is(code, 0);
  assert.match(stdout, /^images +not configured: BACKEND_IMAGE or FRONTEND_IMAGE is empty$/m);
});

test('the history has each run that changed something', () => {
  const history = readFileSync(join(STATE_DIR!, 'history.jsonl'), 'utf8');
  assert.not.match(history, /--dry-run/);
  assert.match(history, /"arguments":\["weekly","--yes","--kept-days","7"\]/);
});

test.run();
