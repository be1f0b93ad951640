/* The table of what recurs: each line is a script that exists and takes what it is given. */
import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig } from '../../scripts/lib/config/config.ts';
import { jobsOf } from '../../scripts/lib/schedule/jobs.ts';

const config = loadConfig('staging', {});

for (const { name, argv } of jobsOf(config).jobs) {
  test(`${name}: its script exists, and takes the flags that it is given`, () => {
    const [script, ...args] = argv as [string, ...string[]];
    const { status, stdout, stderr } = spawnSync(script, [...args, '--help'], { encoding: 'utf8' });
    assert.is(status, 0, stderr);
    assert.match(stdout, /^ {2}--env /m);
    assert.ok(args.join(' ').startsWith('--env staging'));
  });
}

test('every job of the configuration is in the table, on or off', () => {
  const names = jobsOf(config).jobs.map(({ name }) => name);
  assert.equal(names.sort(), Object.keys(config.schedule).sort());
  const { jobs, off } = jobsOf(loadConfig('staging', { SCHEDULE_DRILL: 'off' }));
  assert.not(jobs.some(({ name }) => name === 'drill'));
  assert.equal(off, ['drill']);
});

test.run();
