import { readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { DrillReport } from '../../../scripts/lib/drill/report.ts';
import type { Started } from '../core/world.ts';

/** Runs `body` with a temporary directory of its own, to see what a drill leaves there. */
export async function inTemporary(
  body: (env: Record<string, string>, directory: string) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'embedded-'));
  // PostgreSQL's socket lies below it, and runs as another user.
  await chmod(directory, 0o755);
  try {
    await body({ PATH: process.env.PATH!, HOME: directory, TMPDIR: directory }, directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The command lines of all processes that name `word`. */
export function processesWith(word: string): string[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap(pid => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return line.includes(word) ? [line] : [];
      } catch {
        return []; // it has ended meanwhile
      }
    });
}

/** Asserts that a drill has left no file in its directory, and no process. */
export function assertNothingLeft(directory: string): void {
  assert.equal(readdirSync(directory), []);
  assert.equal(processesWith(directory), []);
}

/**
 * Runs an embedded drill to its end, with settings of a live server in its environment, which it must ignore.
 *
 * @param rows of which there must be more, with an artifact of more than `bytes`
 */
export const assertEmbeddedDrill = (
  start: (env: Record<string, string>) => Started,
  rows: number,
  bytes: number,
): Promise<void> =>
  inTemporary(async (env, directory) => {
    const settings = {
      POSTGRES_DB: 'the-live-one',
      S3_PREFIX: 'live',
      SLACK_WEBHOOK_URL: 'http://127.0.0.1:1/',
    };
    const { code, stdout, stderr } = await start({ ...env, ...settings }).ended;
    assert.is(code, 0, stderr);
    const report: DrillReport = JSON.parse(stdout);
    assert.ok(report.rows > rows, `${report.rows} rows`);
    assert.ok(report.artifactBytes > bytes);
    assert.is(report.rtoObjective, 4 * 3600);
    assert.is(report.rpoObjective, 24 * 3600);
    assert.ok(report.rto > 0 && report.rpo > 0);
    assert.match(stderr, /every table is back/);
    assert.not.match(stderr, /could not notify|the-live-one/);
    assertNothingLeft(directory);
  });
