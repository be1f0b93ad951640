/* The table of recurring jobs: each is a script that exists and accepts its flags; and when they run next. */
import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig } from '../../scripts/lib/config/config.ts';
import { nextTime } from '../../scripts/lib/core/cron.ts';
import { comingRuns, jobsOf } from '../../scripts/lib/schedule/jobs.ts';

const config = loadConfig('staging', {});

for (const { name, argv } of jobsOf(config).jobs) {
  test(`${name}: its script exists and accepts its flags`, () => {
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

test('the certificate is renewed twice a day, half a day apart', () => {
  const { argv, expression } = jobsOf(config).jobs.find(({ name }) => name === 'certificates')!;
  assert.equal(argv.slice(1), ['--env', 'staging', 'renew']);
  const first = nextTime(expression, new Date('2027-03-28T00:00:00Z')).getTime();
  for (const run of [1, 2, 3, 4])
    assert.is(
      nextTime(expression, new Date(first + (run - 1) * 43_200_000)).getTime(),
      first + run * 43_200_000,
    );
});

test('the next runs, in UTC and in the zone of the machine, across a clock change', () => {
  const { TZ } = process.env;
  process.env.TZ = 'Europe/Paris';
  try {
    const schedule = {
      backup: '0 2 * * *',
      certificates: 'off',
      weekly: 'off',
      'health-check': 'off',
      drill: '0 4 1 4 *',
      'load-check': 'off',
    };
    const { text } = comingRuns({ ...config, schedule }, new Date('2027-03-28T00:30:00Z'));
    assert.equal(text.split('\n'), [
      'job           schedule (UTC)  next (UTC)        next (Europe/Paris)          in',
      'backup        0 2 * * *       2027-03-28 02:00  2027-03-28 04:00     1 h 30 min',
      'drill         0 4 1 4 *       2027-04-01 04:00  2027-04-01 06:00        4 d 3 h',
      'health-check  off',
      'certificates  off',
      'weekly        off',
      'load-check    off',
    ]);
  } finally {
    if (TZ === undefined) delete process.env.TZ;
    else process.env.TZ = TZ;
  }
});

test.run();
