/** What deploy.ts and rollback.ts read of their own files when a power loss or a hand has damaged them. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig } from '../../scripts/lib/config/config.ts';
import { OperationalError } from '../../scripts/lib/core/errors.ts';
import { withLock } from '../../scripts/lib/core/lock.ts';
import { newJournal, readJournal, refuseUnfinished, writeJournal } from '../../scripts/lib/deploy/journal.ts';
import {
  appendRelease,
  chooseRelease,
  type Release,
  reachable,
  readReleases,
} from '../../scripts/lib/deploy/releases.ts';
import { KEPT_RELEASES } from '../../scripts/lib/deploy/shorten-releases.ts';

const directory = mkdtempSync(join(tmpdir(), 'state-files-'));
process.once('exit', () => rmSync(directory, { recursive: true }));
const config = loadConfig('production', { STATE_DIR: directory });
const RELEASES = join(directory, 'releases.jsonl');
const JOURNAL = join(directory, 'production.deploy.json');

const begun = {
  kind: 'deploy' as const,
  release: '2',
  images: { backend: 'b:2', frontend: 'f:2' },
  previous: { backend: 'b:1', frontend: 'f:1' },
  migrations: [],
  contracting: [],
  backup: null,
};
const SERVER = 'server backend-1:3000 resolve;';
const journal = () => newJournal(config, begun, { servers: [SERVER], criticalBefore: [], surge: null });
const ended = (release: string, outcome: Release['outcome'] = 'done'): Release => ({
  ...journal().release,
  time: `2026-01-31T02:00:0${release}.000Z`,
  release,
  outcome,
  seconds: 1,
  canary: null,
});
const names = () => readReleases(config).map(({ release, outcome }) => `${release} ${outcome}`);

test('a torn line of releases.jsonl is ignored, and the next line does not continue it', async () => {
  const whole = JSON.stringify(ended('3'));
  // The last one ends with a brace, as half a line can.
  for (const torn of ['{"time":"20', '{', '\0\0\0\0', whole.slice(0, whole.indexOf('}') + 1), '{}', 'null']) {
    rmSync(RELEASES, { force: true });
    await appendRelease(config, ended('1'));
    appendFileSync(RELEASES, torn);
    assert.equal(names(), ['1 done'], torn);
    await appendRelease(config, ended('2'));
    assert.equal(names(), ['1 done', '2 done'], torn);
    assert.ok(readFileSync(RELEASES, 'utf8').includes(`${torn}\n`), 'it is kept');
  }
});

test('a release is recorded once, and as it ended last', async () => {
  rmSync(RELEASES, { force: true });
  await appendRelease(config, ended('1'));
  await appendRelease(config, ended('2'));
  await appendRelease(config, ended('2'));
  assert.is(readFileSync(RELEASES, 'utf8').trim().split('\n').length, 2);
  await appendRelease(config, ended('2', 'rolled back'));
  assert.equal(names(), ['1 done', '2 rolled back']);
});

/** Lines as `appendRelease` writes them. */
const lines = (environment: string, count: number) =>
  Array.from({ length: count }, (_, at) => {
    const time = new Date(Date.UTC(2025, 0, 1) + at * 60_000).toISOString();
    const [images, previous] = [at, at - 1].map(each => ({ backend: `b:${each}`, frontend: `f:${each}` }));
    return JSON.stringify({
      ...ended('1'),
      environment,
      time,
      release: `${environment}-${at}`,
      images,
      previous,
    });
  });

test('releases.jsonl keeps the last releases of each environment, however busy the other one is', async () => {
  const staging = loadConfig('staging', { STATE_DIR: directory });
  const torn = '{"time":"20\xff';
  const text = `${[...lines('production', 3), torn, ...lines('staging', 2 * KEPT_RELEASES - 1)].join('\n')}\n`;
  const write = () => writeFileSync(RELEASES, Buffer.from(text, 'latin1'), { mode: 0o640 });
  const last = { ...ended('9'), environment: 'staging' as const, images: { backend: 'b:9', frontend: 'f' } };
  write();
  await withLock(directory, 'production', 'a backup', () => appendRelease(staging, last));
  assert.is(readReleases(staging).length, 2 * KEPT_RELEASES, 'it is not shortened while production writes');
  write();
  await appendRelease(staging, last);
  const kept = readReleases(staging);
  assert.equal(
    [kept.length, kept[0]!.release, kept.at(-1)!.release],
    [KEPT_RELEASES, `staging-${KEPT_RELEASES}`, '9'],
  );
  assert.is(chooseRelease(reachable(kept), undefined).release, `staging-${2 * KEPT_RELEASES - 2}`);
  assert.equal(names(), ['production-0 done', 'production-1 done', 'production-2 done']);
  assert.ok(readFileSync(RELEASES, 'latin1').includes(`\n${torn}\n`), 'what can’t be read is kept');
  await appendRelease(staging, { ...last, time: '2026-02-01T00:00:00.000Z' });
  assert.is(readReleases(staging).length, KEPT_RELEASES + 1);
});

test('a journal is read as it was written; those of earlier versions too', async () => {
  const data = { wanted: 'latest', allowSmall: false, oid: 16_384, maintenance: true };
  const written = journal();
  written.progress.data = data;
  await writeJournal(config, written, 'restore');
  assert.equal(readJournal(config), written);
  const { data: _, ...older } = JSON.parse(readFileSync(JOURNAL, 'utf8'));
  writeFileSync(JOURNAL, JSON.stringify({ ...older, step: 'bake' }));
  assert.is(readJournal(config)?.progress.step, 'bake');
});

test('a damaged journal is an error that names the file and how to continue', async () => {
  await writeJournal(config, journal(), 'roll');
  const text = readFileSync(JOURNAL, 'utf8');
  const changed = (more: object) => JSON.stringify({ ...JSON.parse(text), ...more });
  const damaged = [
    ...['', text.slice(0, 40), 'null', '[]', '\0\0\0\0'],
    ...[{ step: 'dance' }, { servers: SERVER }, { servers: ['rm -rf /'] }, { images: {} }].map(changed),
    ...[{ surge: '; reboot' }, { environment: 'elsewhere' }, { data: { oid: 'one' } }].map(changed),
  ];
  for (const each of damaged) {
    writeFileSync(JOURNAL, each);
    try {
      refuseUnfinished(config);
      assert.unreachable(each);
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      assert.match(error.message, /^the journal of an interrupted deployment is damaged: /);
      assert.ok(error.message.includes(JOURNAL), error.message);
      assert.ok(error.hint.startsWith(`mv ${JOURNAL} ${JOURNAL}.damaged; `), error.hint);
    }
  }
});

test.run();
