import { appendFileSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { plant, store } from '../support/backup/old-backups.ts';
import { captured } from '../support/core/here.ts';
import { checkHere, makeBackup, refused, restoreHere } from '../support/core/in-process.ts';
import { assertNoSecrets, liveState } from '../support/postgres/live.ts';
import {
  answers,
  cutsAnswer,
  type Fault,
  hangs,
  passes,
  type Seen,
  startFaultProxy,
} from '../support/s3/fault-proxy.ts';
import { createBigDatabase, createS3World, PASSWORD } from '../support/s3/s3-world.ts';
import { fileOf } from '../support/s3/store.ts';

const { world, proxy, fresh, stop } = await createS3World();
await createBigDatabase(world, 180);

/** A backup in the store. */
async function stored(extra: Record<string, string> = {}) {
  const env = fresh(extra);
  const manifest = await makeBackup(world, { format: extra.POSTGRES_DB ? 'custom' : 'plain' }, env);
  return {
    env,
    id: manifest.id,
    key: (name: 'artifact' | 'globals') => `${env.S3_PREFIX}/${manifest[name].name}`,
  };
}

const common = await stored();

/** The same store seen from a new server: there is no backup on its own disk. */
function elsewhere({ env } = common, extra: Record<string, string> = {}) {
  return fresh({ POSTGRES_DB: env.POSTGRES_DB ?? 'app', S3_PREFIX: env.S3_PREFIX!, ...extra });
}

const isArtifact = ({ method, key }: Seen) => method === 'GET' && /\.(sql\.gz|dump\.zst)$/.test(key);
const isManifest = ({ method, key }: Seen) => method === 'GET' && key.endsWith('.json');
const restore = (env: Record<string, string>, ...args: string[]) =>
  world.run('restore', [...args, '--yes'], env);

interface Trouble {
  fault?: (seen: Seen) => Fault | undefined;
  env?: Record<string, string>;
  says: RegExp;
}

const TROUBLES: Record<string, Trouble> = {
  'connections refused': {
    env: { S3_ENDPOINT: 'http://127.0.0.1:1' },
    says: /could not list s3:.*ECONNREFUSED.*\n.*S3_ENDPOINT/,
  },
  'HTTP 403 for everything': {
    fault: () => answers(403, 'AccessDenied'),
    says: /AccessDenied.*403.*\n.*AWS_ACCESS_KEY_ID/,
  },
  'HTTP 403 for the manifest': {
    fault: seen => (isManifest(seen) ? answers(403, 'AccessDenied') : undefined),
    says: /could not read s3:.*\.json: AccessDenied.*\n.*AWS_ACCESS_KEY_ID/,
  },
  'HTTP 500 for ever': {
    fault: () => answers(500, 'InternalError'),
    says: /InternalError.*500.*\n.*try again later/,
  },
  'a manifest that always breaks off': {
    fault: seen => (isManifest(seen) ? cutsAnswer(100) : undefined),
    says: /could not read s3:.*\.json/,
  },
  'an artifact of which nothing comes': {
    fault: seen => (isArtifact(seen) ? cutsAnswer(0) : undefined),
    says: /could not download s3:.*\.sql\.gz/,
  },
  'a store that never answers': {
    env: { S3_TIMEOUT: '1s' },
    fault: seen => (isArtifact(seen) ? hangs() : undefined),
    says: /could not download s3:.*(timed out|timeout)/i,
  },
  'content that is not what the store’s own checksum says': {
    fault: seen =>
      isArtifact(seen)
        ? passes(headers => {
            headers['x-amz-checksum-crc32'] = 'AAAAAA==';
          })
        : undefined,
    says: /could not download s3:.*Checksum mismatch/,
  },
  'a bucket that does not exist': {
    env: { S3_BUCKET: 'no-such-bucket' },
    says: /NoSuchBucket.*\n.*S3_BUCKET/,
  },
  'a clock that the store refuses': {
    fault: () => answers(403, 'RequestTimeTooSkewed'),
    says: /RequestTimeTooSkewed.*\n.*timedatectl/,
  },
};

/** That of which a process shows what the others are only asked for in this one. */
const AS_PROCESS = ['HTTP 403 for the manifest'];

/** One case, with a way to the store of its own, so that all cases can go on at once. */
async function restoreInTrouble(what: string, { fault, env: extra, says }: Trouble) {
  const own = await startFaultProxy(world.s3.endpoint, () => {});
  const env = elsewhere(common, { S3_ENDPOINT: own.endpoint, ...extra });
  if (fault) own.fault = fault;
  try {
    const ended = AS_PROCESS.includes(what)
      ? await restore(env, common.id, '--from', 's3')
      : await refused(() => restoreHere(world, common.id, { from: 's3' }, env), 4, says).catch(
          (error: Error) => error,
        );
    return { env, ended, requests: own.seen.length };
  } finally {
    await own.stop();
  }
}

/** All cases side by side, while the first test runs: most of them wait between the attempts of a request. */
async function allInTrouble() {
  const before = await liveState(world);
  const all = Object.entries(TROUBLES).map(
    async ([what, trouble]) => [what, await restoreInTrouble(what, trouble)] as const,
  );
  return { cases: new Map(await Promise.all(all)), before, after: await liveState(world) };
}
const runs = allInTrouble();
runs.catch(() => {}); // the tests hear of it

test('a download that is cut again and again is taken up where it broke', async () => {
  const big = await stored({ POSTGRES_DB: 'big' });
  const env = elsewhere(big);
  const isFetch = ({ method, key }: Seen) => method === 'GET' && key === big.key('artifact');
  const startsOf = () =>
    proxy.seen.filter(isFetch).map(({ headers }) => Number(/\d+/.exec(headers.range ?? '0')![0]));
  const delivered = 200_000;
  // Of what comes at once with the cut, nothing may reach the reader: each is cut until three have got further.
  proxy.fault = seen => (isFetch(seen) && new Set(startsOf()).size < 4 ? cutsAnswer(delivered) : undefined);
  assert.is(await checkHere(world, big.id, env, 's3'), big.id);
  const starts = startsOf();
  assert.is(starts[0], 0);
  const goesOn = (start: number, before: number) => start >= before && start <= before + delivered;
  assert.ok(
    starts.every((start, index) => index === 0 || goesOn(start, starts[index - 1]!)),
    starts.join(' '),
  );
  assert.is(new Set(starts).size, 4, starts.join(' '));
});

for (const [what, { says }] of Object.entries(TROUBLES)) {
  test(`the store can’t be read: ${what}`, async () => {
    const { cases, before, after } = await runs;
    const { env, ended, requests } = cases.get(what)!;
    if (ended instanceof Error) throw ended;
    if (typeof ended === 'string') {
      for (const secret of [PASSWORD, 'S3RVER']) assert.not.ok(ended.includes(secret), ended);
    } else {
      assert.is(ended.code, 4, ended.stderr);
      assert.match(ended.stderr, says);
      assert.not.match(ended.stderr, /from here on, things change/);
      assertNoSecrets(ended, env, [PASSWORD, 'S3RVER']);
    }
    assert.is(after, before);
    assert.equal(readdirSync(env.BACKUP_DIR!), [], 'what was fetched is removed');
    assert.ok(requests < 40, `${requests} requests`);
  });
}

/** By restore.ts as a process: test/long/integration/s3-restore.test.ts. */
test('trouble that passes while fetching: the whole backup is there', async () => {
  const env = elsewhere();
  const cut = { manifest: 2, artifact: 2 };
  proxy.fault = seen => {
    if (isManifest(seen) && cut.manifest-- > 0) return cutsAnswer(100);
    return isArtifact(seen) && cut.artifact-- > 0 ? answers(503, 'SlowDown') : undefined;
  };
  assert.is(await checkHere(world, 'latest', env, 's3'), common.id);
  assert.ok(cut.manifest < 0 && cut.artifact < 0, 'it is tried again');
});

const DAMAGE: Record<string, (path: string) => void> = {
  'cut short': path => truncateSync(path, Math.floor(readFileSync(path).length / 2)),
  'with one bit flipped': path => {
    const content = readFileSync(path);
    content[Math.floor(content.length / 2)]! ^= 1;
    writeFileSync(path, content);
  },
  'longer than it was': path => appendFileSync(path, 'x'),
};

for (const [how, damage] of Object.entries(DAMAGE)) {
  for (const part of ['artifact', 'globals'] as const) {
    test(`an object ${how} is refused: ${part}`, async () => {
      const path = fileOf(world, common.key(part));
      const content = readFileSync(path);
      const before = await liveState(world);
      try {
        damage(path);
        const env = elsewhere();
        // Each is asked for in one way: what is fetched is checked alike.
        const source = part === 'artifact' ? common.id : `s3://bucket/${common.key('artifact')}`;
        await refused(
          () => restoreHere(world, source, {}, env),
          3,
          /is truncated: |has changed: its SHA-256|is .* bytes\), not/,
          /list-backups\.ts/,
        );
        assert.is(await liveState(world), before);
        assert.equal(readdirSync(env.BACKUP_DIR!), [], 'what was fetched is removed');
      } finally {
        writeFileSync(path, content);
      }
    });
  }
}

test('a store that can’t be read does not make an older backup the latest', async () => {
  await store(world, common.env, await plant(common.env.BACKUP_DIR!, common.id, { days: 3 }));
  const before = await liveState(world);
  const env = elsewhere();
  proxy.fault = seen => (seen.key.endsWith(`${common.id}.json`) ? answers(403, 'AccessDenied') : undefined);
  await refused(() => restoreHere(world, 'latest', {}, env), 4, new RegExp(`could not read .*${common.id}`));
  assert.is(await liveState(world), before);
});

test('a damaged newest backup is said when an older one is taken for it', async () => {
  const old = await plant(common.env.BACKUP_DIR!, common.id, { days: 2 });
  await store(world, common.env, old);
  truncateSync(fileOf(world, `${common.env.S3_PREFIX}/${common.id}.json`), 100);
  const done = await captured(() => checkHere(world, 'latest', elsewhere()));
  assert.is(done.value, old.id, done.error);
  assert.match(done.stderr, new RegExp(`warning: ${common.id} is newer, but is ignored \\(s3\\): .*damaged`));
});

test('the servers stop', stop);

test.run();
