/* The crontab, with Debian's own cron, in a zone three quarters of an hour off, from a path that is hard to quote. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { createWorld, until } from '../support/core/world.ts';
import { startPrivateCron } from '../support/schedule/private-cron.ts';

const cron = await startPrivateCron('Asia/Kathmandu');
const world = await createWorld();
await world.sql('CREATE TABLE t AS SELECT generate_series(1, 1000) AS i');

const copy = join(world.directory, "it's 100% here");
mkdirSync(copy);
for (const name of ['scripts', 'package.json'])
  cpSync(join(ROOT, name), join(copy, name), { recursive: true });
symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));

const { PATH: _, HOME: __, LOG_DIR: ___, S3_BUCKET: ____, ...settings } = world.env;
const STATE = settings.STATE_DIR!;

/** Writes the .env file that the scripts of the copy read. */
function configure(environment: string, extra: Record<string, string>): void {
  const lines = Object.entries({ ...settings, ...extra }).map(([name, value]) => `${name}='${value}'\n`);
  writeFileSync(join(copy, `.env.${environment}`), lines.join(''));
}

function schedule(...args: string[]) {
  const { code, stdout, stderr } = cron.run([join(copy, 'scripts/schedule.ts'), ...args]);
  return { code, stdout: `${stdout}`, stderr };
}

const crontab = () => cron.run(['crontab', '-l']).stdout.toString('latin1');
const install = (text: string) =>
  assert.is(cron.run(['crontab', '-'], Buffer.from(text, 'latin1') as unknown as string).code, 0);

const OTHERS =
  'MAILTO=someone\n# caf\xe9 in latin1, \xc3\xa9 in UTF-8\n\n17 3 * * 1\ttrue  \nPATH=/usr/bin:/bin:/opt/ours\n';

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

test('other lines stay byte for byte, in their place; the previous crontab is kept', () => {
  install(OTHERS);
  configure('production', { SCHEDULE_MAILTO: 'ops@example.com' });
  configure('staging', {});
  assert.is(schedule('install').code, 0);
  assert.is(readFileSync(join(STATE, 'crontab.before'), 'latin1'), OTHERS);
  assert.is(statSync(join(STATE, 'crontab.before')).mode & 0o777, 0o600);
  assert.is(schedule('install', '--env', 'staging').code, 0);
  const both = crontab();
  assert.ok(both.startsWith(OTHERS), both);
  assert.match(both, /PATH=\/usr\/bin:\/bin:\/opt\/ours\nMAILTO=someone\n# END neurmatic production/);
  const before = statSync(join(STATE, 'crontab.before')).mtimeMs;
  assert.match(schedule('install', '--env', 'staging').stdout, /are unchanged in the crontab/);
  assert.is(crontab(), both, 'once more changes nothing');
  assert.is(statSync(join(STATE, 'crontab.before')).mtimeMs, before);

  configure('staging', { SCHEDULE_BACKUP: '30 5 * * *' });
  assert.is(schedule('install', '--env', 'staging').code, 0);
  assert.is(crontab().match(/# backup: /g)?.length, 2);
  assert.match(crontab(), '# backup: 30 5 * * * UTC');
  assert.is(schedule('remove', '--env', 'staging').code, 0);
  assert.match(schedule('remove', '--env', 'staging').stdout, /are not in the crontab/);
  assert.is(schedule('remove').code, 0);
  assert.is(crontab(), OTHERS);
});

test('a block without its end is refused, and stays unchanged', () => {
  const broken = `${OTHERS}# BEGIN neurmatic production (schedule.ts)\n1 1 * * * true\n`;
  install(broken);
  for (const action of ['install', 'remove']) {
    const { code, stderr } = schedule(action);
    assert.is(code, 2, stderr);
    assert.match(
      stderr,
      /line 6 of the crontab has no matching “# END neurmatic production \(schedule\.ts\)”/,
    );
    assert.not.match(stderr, /things change/);
  }
  assert.is(crontab(), broken);
});

test('beside a line of the old scripts it is refused, with the line; health-check.ts warns of it', () => {
  configure('production', {});
  const old = '0 2 * * * /opt/neurmatic/infrastructure/scripts/backup.sh';
  const look = () => {
    const { stdout, stderr } = cron.run([
      join(copy, 'scripts/health-check.ts'),
      '--only',
      'old-installation',
      '--json',
    ]);
    assert.ok(`${stdout}`.startsWith('{'), stderr);
    return JSON.parse(`${stdout}`).services['old-installation'];
  };
  const places = [
    ['crontab -l', `${OTHERS}${old}\n`, ''],
    ['/etc/cron.d/backup', OTHERS, old.replace('* /', '* root /')],
  ] as const;
  for (const [place, own, file] of places) {
    install(own);
    assert.is(cron.run(['tee', '/etc/cron.d/backup'], `${file}\n`).code, 0);
    const { code, stderr } = schedule('install');
    assert.is(code, 2, stderr);
    const line = file || old;
    assert.ok(stderr.includes(`\n  ${place}: ${line}\n`) || /crontabs\/root: 0 2/.test(stderr), stderr);
    assert.match(
      stderr,
      /→ remove these lines, with `crontab -e` those of `crontab -l`: docs\/SWITCH\.md, step 2/,
    );
    assert.is(crontab(), own, 'nothing is changed');
    const { status, message } = look();
    assert.is(status, 'warning');
    assert.ok(message.startsWith('1 cron line of the old scripts, ') && message.endsWith(line), message);
  }
  cron.run(['rm', '/etc/cron.d/backup']);
  install(`${OTHERS}# ${old}\n`);
  assert.is(look().status, 'ok');
  assert.is(schedule('install').code, 0, 'a comment runs nothing');
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

test('the servers stop', async () => {
  await Promise.all([cron.stop(), world.stop()]);
});

test.run();
