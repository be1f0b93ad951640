import { readdirSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DrillReport } from '../../../scripts/lib/drill/report.ts';
import { startScript } from '../../support/core/world.ts';
import { inTemporary, processesWith } from '../../support/drill/embedded.ts';

test('embedded: backs up, destroys, restores, compares, and leaves nothing behind', () =>
  inTemporary(async (env, directory) => {
    // What a server's own settings would do here: they must not reach into the drill.
    const settings = {
      POSTGRES_DB: 'the-live-one',
      S3_PREFIX: 'live',
      SLACK_WEBHOOK_URL: 'http://127.0.0.1:1/',
    };
    const { code, stdout, stderr } = await startScript('drill', ['--embedded', '--json'], {
      ...env,
      ...settings,
    }).ended;
    assert.is(code, 0, stderr);
    const report: DrillReport = JSON.parse(stdout);
    assert.ok(report.rows > 500_000, 'realistic data');
    assert.ok(report.artifactBytes > 1e6);
    assert.is(report.rtoObjective, 4 * 3600);
    assert.is(report.rpoObjective, 24 * 3600);
    assert.ok(report.rto > 0 && report.rpo > 0);
    assert.match(stderr, /every table is back/);
    assert.not.match(stderr, /could not notify|the-live-one/);
    assert.equal(readdirSync(directory), []);
    assert.equal(processesWith(directory), []);
  }));

for (const [moment, pattern] of [
  ['backup.ts', /Dumping/],
  ['restore.ts', /Loading/],
] as const) {
  test(`embedded: interrupted while ${moment} runs, it leaves nothing behind`, () =>
    inTemporary(async (env, directory) => {
      const drill = startScript('drill', ['--embedded'], env);
      await drill.shows(pattern);
      drill.child.kill('SIGINT');
      const { code, stderr } = await drill.ended;
      assert.is(code, 130, stderr);
      assert.equal(readdirSync(directory), []);
      assert.equal(processesWith(directory), []);
    }));
}

test.run();
