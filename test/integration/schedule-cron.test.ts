/*
 * The crontab, with Debian's own cron, in a zone three quarters of an hour off, from a path that is hard to quote.
 * Lines of others byte for byte, a block without its end, and lines of the old scripts:
 * test/long/integration/schedule-cron.test.ts; as text alone: test/schedule/crontab-lines.test.ts.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../support/core/world.ts';
import { createCrontabWorld, OTHERS } from '../support/schedule/crontab-world.ts';

const { world, cron, copy, settings, configure, schedule, crontab, install, stop } =
  await createCrontabWorld();
await world.sql('CREATE TABLE t AS SELECT generate_series(1, 1000) AS i');
const STATE = settings.STATE_DIR!;

test('without a crontab, its lines become the crontab; remove leaves nothing', () => {
  configure('production', {});
  assert.is(cron.run(['crontab', '-l']).code, 1);
  const done = schedule('install');
  assert.is(done.code, 0, done.stderr);
  assert.match(
    done.stdout,
    /^the lines of production are installed in the crontab; cron mails the crontab’s user/,
  );
  assert.match(done.stdout, /^backup +0 2 \* \* \*/m);
  assert.is(`${cron.run([join(copy, 'scripts/schedule.ts'), 'print']).stdout}`, crontab());
  assert.is(readFileSync(join(STATE, 'crontab.before'), 'utf8'), '');
  assert.match(schedule('remove').stdout, /are removed from the crontab/);
  assert.is(crontab(), '');
});

test('a crontab that can’t be read is never overwritten', () => {
  install(OTHERS);
  const bin = join(world.directory, 'bin');
  mkdirSync(bin);
  const log = join(bin, 'calls');
  writeFileSync(
    join(bin, 'crontab'),
    `#!/bin/sh\necho "$@" >>'${log}'\necho 'no route to the crontab' >&2\nexit 1\n`,
    {
      mode: 0o755,
    },
  );
  const { code, stderr } = cron.run([
    'env',
    `PATH=${bin}:/usr/bin:/bin`,
    join(copy, 'scripts/schedule.ts'),
    'install',
  ]);
  assert.is(code, 1);
  assert.match(stderr, /could not read the crontab: no route to the crontab/);
  assert.is(readFileSync(log, 'utf8'), '-l\n');
  assert.is(crontab(), OTHERS);
});

test('without a crontab program: what to install', () => {
  const bin = join(world.directory, 'bare');
  mkdirSync(bin);
  for (const name of ['sh', 'bash', 'dirname', 'readlink', 'flock'])
    symlinkSync(`/usr/bin/${name}`, join(bin, name));
  const { code, stderr } = cron.run([
    '/usr/bin/env',
    `PATH=${bin}`,
    join(copy, 'scripts/schedule.ts'),
    'install',
  ]);
  assert.is(code, 1, stderr);
  assert.match(stderr, /there is no crontab program here\n {2}→ install cron \(apt-get install cron\)/);
});

test('cron runs it: at its minute in UTC, from its bare environment, and mails a failure', async () => {
  // In each of the next minutes: how long it takes until cron runs and has read this, nobody knows.
  const minute = (after: number) => new Date((Math.floor(Date.now() / 60_000) + after) * 60_000);
  const at = (dates: Date[]) => {
    const values = (of: (date: Date) => number) => [...new Set(dates.map(of))].sort((a, b) => a - b);
    return `${values(date => date.getUTCMinutes())} ${values(date => date.getUTCHours())} * * *`;
  };
  const due = [1, 2, 3, 4, 5].map(minute);
  configure('production', {
    SCHEDULE_BACKUP: at(due),
    SCHEDULE_HEALTH_CHECK: 'off',
    SCHEDULE_DRILL: '* * * * *', // it fails: there is no store to fetch from
    SCHEDULE_CERTIFICATES: 'off',
    SCHEDULE_LOAD_CHECK: 'off',
    SCHEDULE_WEEKLY: 'off',
    SCHEDULE_MAILTO: 'ops@example.com',
    WEBHOOK_URL: '',
  });
  // Looked at in the same minute, but due a quarter of an hour later.
  configure('staging', {
    SCHEDULE_BACKUP: at(due.map(date => new Date(date.getTime() + 15 * 60_000))),
    SCHEDULE_HEALTH_CHECK: 'off',
    SCHEDULE_DRILL: 'off',
    SCHEDULE_CERTIFICATES: 'off',
    SCHEDULE_LOAD_CHECK: 'off',
    SCHEDULE_WEEKLY: 'off',
  });
  const theirs = join(world.directory, 'theirs');
  install(`MAILTO=someone\n* * * * * echo "$PATH $SHELL" >'${theirs}.above'\n`);
  assert.is(schedule('install').code, 0);
  assert.is(schedule('install', '--env', 'staging').code, 0);
  install(`${crontab()}* * * * * echo "$PATH $SHELL" >'${theirs}.below'; echo to whom\n`);

  cron.start(); // not before: cron misses a change in the second in which it has read the crontabs

  const manifests = () =>
    (existsSync(settings.BACKUP_DIR!) ? readdirSync(settings.BACKUP_DIR!) : []).filter(name =>
      name.endsWith('.json'),
    );
  const mail = () => readFileSync(cron.mail, 'utf8');
  await until('cron has backed up', () => manifests().length > 0, 180);
  await until('cron has mailed both', () => /drill: exit status/.test(mail()) && /to whom/.test(mail()), 90);
  const made = manifests().map(name => JSON.parse(readFileSync(join(settings.BACKUP_DIR!, name), 'utf8')));
  const minutes = made.map(({ startedAt }) => startedAt.slice(0, 16));
  assert.equal(
    [...new Set(made.map(({ environment }) => environment))],
    ['production'],
    'staging was not due',
  );
  assert.equal(minutes, [...new Set(minutes)], 'once in a minute');
  const wanted = due.map(date => date.toISOString().slice(0, 16));
  for (const started of minutes) assert.ok(wanted.includes(started), `${started} among ${wanted}`);
  const log = () => readFileSync(join(copy, 'logs/cron.log'), 'utf8');
  await until('the backup has said what it has done', () =>
    /backup neurmatic_production_\d+_\d+: /.test(log()),
  );
  assert.match(
    mail(),
    /^To: ops@example\.com$[\s\S]*?^drill: exit status \d+, see .*it's 100% here\/logs\/cron\.log$/m,
  );
  assert.match(mail(), /^To: someone$[\s\S]*?^to whom$/m);
  assert.not.match(mail(), /backup: exit status/);
  const [above, below] = ['above', 'below'].map(name => readFileSync(`${theirs}.${name}`, 'utf8'));
  assert.is(above, '/usr/bin:/bin /bin/sh\n');
  assert.is(below, above, 'a line after the block has what it would have without');
});

test('the servers stop', stop);

test.run();
