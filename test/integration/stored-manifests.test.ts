/** The manifests in S3 are read side by side, and only new ones; what is kept of them makes nothing trusted. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { storedBackups } from '../../scripts/lib/backup/catalog.ts';
import { type Manifest, manifestName, serialize } from '../../scripts/lib/backup/manifest.ts';
import { sign } from '../../scripts/lib/backup/signature.ts';
import { loadConfig } from '../../scripts/lib/config/config.ts';
import { Exit, OperationalError } from '../../scripts/lib/core/errors.ts';
import { openStore } from '../../scripts/lib/s3/open-store.ts';
import { sampleManifest } from '../support/backup/sample-manifest.ts';
import { captured } from '../support/core/here.ts';
import { until } from '../support/core/world.ts';
import { answers, passes, startFaultProxy } from '../support/s3/fault-proxy.ts';
import { startTestS3 } from '../support/s3/test-s3.ts';

const s3 = await startTestS3();
const proxy = await startFaultProxy(s3.endpoint, () => {});
const directory = mkdtempSync(join(tmpdir(), 'stored-manifests-'));
const KEY = 'a1'.repeat(32);

let places = 0;
/** A configuration with a prefix and a state of its own. */
function place(extra: Record<string, string> = {}) {
  proxy.fault = () => undefined;
  return loadConfig('production', {
    ...s3.env,
    S3_ENDPOINT: proxy.endpoint,
    S3_PREFIX: `place-${++places}`,
    S3_RETRY_TIME: '3s',
    POSTGRES_DB: 'neurmatic_production',
    STATE_DIR: join(directory, String(places), 'state'),
    BACKUP_SIGNING_KEY: KEY,
    ...extra,
  });
}
type Config = ReturnType<typeof place>;

const sampleOf = (day: number, changes: Partial<Manifest> = {}) => {
  const id = `neurmatic_production_202601${String(day).padStart(2, '0')}_020000`;
  const file = { bytes: 1, sha256: 'a'.repeat(64) };
  const [artifact, globals] = [`${id}.sql.gz`, `${id}.globals.sql.gz`].map(name => ({ ...file, name }));
  return sampleManifest({ id, artifact, globals, ...changes });
};

const put = async (config: Config, name: string, Body: string) =>
  (await openStore(config.s3!)).client.putObject({
    Bucket: 'bucket',
    Key: `${config.s3!.prefix}/${name}`,
    Body,
  });

/** Puts a backup into the store. */
async function store(
  config: Config,
  manifest: Manifest,
  text = sign(serialize(manifest), KEY),
): Promise<void> {
  await put(config, manifest.artifact.name, 'x');
  await put(config, manifest.globals.name, 'x');
  await put(config, manifestName(manifest.id), text);
}

const fileOf = ({ stateDir }: Config) => join(stateDir, 'production.store-manifests.jsonl');

/** @returns the state of each backup by its day, and the days whose manifest was asked for */
async function read(config: Config, remember = false) {
  proxy.seen.length = 0;
  const done = await captured(async () =>
    storedBackups(config, await openStore(config.s3!), undefined, remember),
  );
  assert.is(done.code, 0, done.error);
  const dayOf = (text: string) => Number(/202601(\d\d)_/.exec(text)![1]);
  return {
    states: Object.fromEntries(done.value!.map(({ id, problem }) => [dayOf(id), problem ?? 'verified'])),
    asked: proxy.seen
      .filter(({ key }) => key.endsWith('.json'))
      .map(({ key }) => dayOf(key))
      .sort((a, b) => a - b),
    stderr: done.stderr,
  };
}

test('only a new and a changed manifest is read again; one that is gone is forgotten', async () => {
  const config = place();
  for (const day of [1, 2, 3]) await store(config, sampleOf(day));
  assert.equal((await read(config)).asked, [1, 2, 3]);
  assert.not.ok(existsSync(config.stateDir), 'looking writes nothing');
  await read(config, true);
  assert.is(statSync(fileOf(config)).mode & 0o777, 0o600);
  const again = await read(config);
  assert.equal(again, { states: { 1: 'verified', 2: 'verified', 3: 'verified' }, asked: [], stderr: '' });
  await put(
    config,
    manifestName(sampleOf(1).id),
    'x'.repeat(Buffer.byteLength(sign(serialize(sampleOf(1)), KEY))),
  ); // as long
  await store(config, sampleOf(4));
  const { client } = await openStore(config.s3!);
  await client.deleteObject({
    Bucket: 'bucket',
    Key: `${config.s3!.prefix}/${manifestName(sampleOf(2).id)}`,
  });
  const changed = await read(config, true);
  assert.equal(changed.asked, [1, 4]);
  assert.match(changed.states[1]!, /damaged/);
  assert.is(changed.states[2], 'no manifest');
  assert.not.match(readFileSync(fileOf(config), 'utf8'), sampleOf(2).id);
  assert.equal((await read(config)).asked, []);
  const before = statSync(fileOf(config)).mtimeMs;
  await read(config, true);
  assert.is(statSync(fileOf(config)).mtimeMs, before, 'without news it is not written');
});

test('what is kept is checked as what is read: a forged, foreign or torn line makes nothing verified', async () => {
  const config = place();
  const unsigned = (day: number) => serialize(sampleOf(day));
  const genuine = (day: number) => sign(serialize(sampleOf(day)), KEY);
  await store(config, sampleOf(1), unsigned(1));
  for (const day of [2, 3, 4, 5, 6]) await store(config, sampleOf(day));
  await read(config, true);
  const [one, two, three, four, five, six] = readFileSync(fileOf(config), 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
    .sort((a, b) => a.name.localeCompare(b.name));
  const lines = [
    { ...one, text: sign(unsigned(1), 'b2'.repeat(32)) }, // signed with another key
    { ...two, text: genuine(3) }, // of another backup
    { ...three, text: genuine(3).replace('"rows": 1000', '"rows": 1001') },
    { ...four, place: four.place.replace('place-', 'other-'), text: 'of another bucket' },
    { ...five, bytes: 'many' },
    { ...six, bytes: six.bytes + 1, text: 'of another length' },
  ];
  writeFileSync(fileOf(config), lines.map(line => JSON.stringify(line)).join('\n') + '\n{"torn');
  const forged = await read(config);
  assert.is(forged.states[1], 'foreign: wrong signature');
  assert.match(forged.states[2]!, /it belongs to .*0103_/);
  assert.match(forged.states[3]!, /checksum does not match/);
  assert.equal(forged.asked, [4, 5, 6]);
  for (const day of forged.asked) assert.is(forged.states[day], 'verified');
  assert.match(forged.stderr, /line 5 of .*jsonl is damaged[\s\S]*line 7 of .*jsonl is damaged/);
  const otherKey = { ...config, signingKeys: ['c3'.repeat(32)] };
  rmSync(fileOf(config));
  await read(config, true);
  assert.is(
    (await read(otherKey)).states[5],
    'foreign: wrong signature',
    'with another key they are foreign',
  );
});

test('many are asked for at once, but not all; one that can’t be read fails the list', async () => {
  const config = place();
  const days = Array.from({ length: 20 }, (_, index) => index + 1);
  await Promise.all(days.map(day => put(config, manifestName(sampleOf(day).id), serialize(sampleOf(day)))));
  let open = 0;
  let most = 0;
  let full: Promise<void> | undefined;
  /** Whatever was sent at the same time arrives before these answers. */
  const othersHaveCome = async () => {
    for (let asked = 0; asked < 3; asked++) await fetch(proxy.endpoint);
  };
  proxy.fault = ({ key }) =>
    key.endsWith('.json')
      ? async exchange => {
          most = Math.max(most, ++open);
          full ??= until('as many as may have come', () => open >= 16, 20).then(othersHaveCome);
          await full; // no answer before all that come at once have come
          open--;
          await passes()(exchange);
        }
      : undefined;
  assert.equal((await read(config)).asked, days);
  assert.is(most, 16);
  proxy.fault = ({ key }) => (key.includes('20260115') ? answers(403, 'AccessDenied') : undefined);
  const store2 = await openStore(config.s3!);
  try {
    await storedBackups(config, store2, undefined, true);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, OperationalError);
    assert.is((error as OperationalError).exitCode, Exit.offsite);
  }
  assert.not.ok(existsSync(fileOf(config)), 'half a list is not kept');
});

test('the servers stop', async () => {
  await Promise.all([proxy.stop(), s3.stop()]);
  rmSync(directory, { recursive: true });
});

test.run();
