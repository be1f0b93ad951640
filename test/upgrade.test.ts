/*
 * From one version of this repository to the next, and back. test/upgrade/state-0.1.0 was written by the scripts of
 * version 0.1.0, and variables-0.1.0.txt has the names of its .env.example.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readChecks, recordCheck } from '../scripts/lib/backup/check-log.ts';
import { loadConfig, ROOT } from '../scripts/lib/config/config.ts';
import { misnamed, unknownNames } from '../scripts/lib/config/known-names.ts';
import { record } from '../scripts/lib/core/run-history.ts';
import { readJournal, writeJournal } from '../scripts/lib/deploy/journal.ts';
import { appendRelease, readReleases } from '../scripts/lib/deploy/releases.ts';
import { notify } from '../scripts/lib/notify/notify.ts';
import { notifyChange } from '../scripts/lib/notify/on-change.ts';
import { readState, stateWriter } from '../scripts/lib/schedule/state.ts';
import { captured } from './support/core/here.ts';

const OLD = join(ROOT, 'test/upgrade/state-0.1.0');
const BACKUP = 'neurmatic_production_20261126_232625';
const directory = mkdtempSync(join(tmpdir(), 'upgrade-'));
test.after(() => rmSync(directory, { recursive: true }));
let places = 0;

/** @returns the configuration of a server whose state the former version wrote */
function upgraded(env: Record<string, string> = {}) {
  const STATE_DIR = join(directory, String(++places));
  cpSync(OLD, STATE_DIR, { recursive: true });
  return loadConfig('production', { STATE_DIR, ...env });
}

/** The text or JSON lines of a file as values. */
const valuesOf = (path: string): unknown[] =>
  path.endsWith('l')
    ? readFileSync(path, 'utf8')
        .trim()
        .split('\n')
        .map(line => JSON.parse(line))
    : [JSON.parse(readFileSync(path, 'utf8'))];

/** @returns what a reader of the old value misses in the new one: a key, or another type of value */
function lost(old: unknown, now: unknown, at = ''): string[] {
  if (old === null) return [];
  if (typeof old !== typeof now || Array.isArray(old) !== Array.isArray(now) || now === null) return [at];
  if (typeof old !== 'object' || Array.isArray(old)) return [];
  return Object.entries(old).flatMap(([key, value]) =>
    lost(value, (now as Record<string, unknown>)[key], `${at}.${key}`),
  );
}

test('the state of the former version is read whole, without a warning', async () => {
  const config = upgraded();
  const { stderr } = await captured(async () => {
    assert.is(readChecks(config).filter(({ id, check }) => id === BACKUP && check === 'loaded').length, 2);
    assert.is(readState(config)!.jobs.backup!.exitCode, 0);
    assert.equal(
      readReleases(config).map(({ release, outcome }) => [release, outcome]),
      [['v1.0.0', 'done']],
    );
    const { release, progress } = readJournal(config)!;
    assert.equal([release.release, progress.step, progress.servers.length], ['v2.0.0', 'roll', 2]);
  });
  assert.is(stderr, '');
});

test('a queued message of the former version is sent, and a condition that it notified is not notified again', async () => {
  const received: { text: string }[] = [];
  const server = createServer(async (request, response) => {
    received.push(JSON.parse((await request.toArray()).join('')));
    response.end();
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  try {
    const config = upgraded({ WEBHOOK_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` });
    const [{ status, lines }] = valuesOf(join(OLD, 'production.health.json')) as [
      { status: string; lines: string[] },
    ];
    await captured(() => notifyChange(config, 'health', { status, lines, exitCode: 2 }, []));
    assert.is(received.length, 1, 'only the queued message');
    assert.match(received[0]!.text, /^\W*backup neurmatic_production_20261126_232622: 740 B/);
  } finally {
    server.close();
  }
});

test('what this version writes has all that the former one reads, so that the checkout can be set back', async () => {
  const config = upgraded({ WEBHOOK_URL: 'http://127.0.0.1:1/' });
  const journal = readJournal(config)!;
  await captured(async () => {
    recordCheck(config, { id: BACKUP, place: 's3', check: 'read' });
    const [release] = readReleases(config);
    await appendRelease(config, { ...release!, time: '2026-12-01T10:00:00.000Z' });
    await writeJournal(config, journal, 'bake');
    await stateWriter(config)({ ...readState(config)!, heartbeat: new Date().toISOString() });
    await notifyChange(config, 'health', { status: 'warning', lines: ['disk'], exitCode: 1 }, []);
    await notify(config, 'text', 0);
    const run = { script: 'backup.ts', arguments: [], environment: 'production', exitCode: 0, seconds: 1 };
    record(config.stateDir, run);
  });
  const written = ['backup-checks.jsonl', 'history.jsonl', 'releases.jsonl'].concat(
    ...['deploy', 'health', 'schedule'].map(name => `production.${name}.json`),
  );
  for (const name of written) {
    const now = valuesOf(join(config.stateDir, name)).at(-1);
    assert.not.equal(now, valuesOf(join(OLD, name)).at(-1), `${name} is new`);
    assert.equal(lost(valuesOf(join(OLD, name))[0], now, name), []);
  }
  const outbox = (state: string) =>
    readdirSync(join(state, 'outbox'))
      .filter(name => name.endsWith('.json'))
      .sort();
  const [queued] = outbox(OLD);
  const last = outbox(config.stateDir).at(-1)!;
  assert.not.equal(last, queued);
  assert.match(last, /^production\.webhook\.[\dT.Z-]+\.\d{4}\.\d+\.\w+\.json$/);
  const [old] = valuesOf(join(OLD, 'outbox', queued!));
  assert.equal(lost(old, valuesOf(join(config.stateDir, 'outbox', last))[0], last), []);
});

test('each variable of the former version still counts, is named with what replaced it, or is the application’s', () => {
  const names = readFileSync(join(ROOT, 'test/upgrade/variables-0.1.0.txt'), 'utf8').trim().split('\n');
  assert.ok(names.length > 60);
  assert.equal(
    unknownNames(names)
      .filter(each => misnamed(each) === undefined)
      .map(({ name }) => name),
    ['JWT_SECRET', 'CORS_ORIGIN'], // config.ts --split moves them
  );
});

test.run();
