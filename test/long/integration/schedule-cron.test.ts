/* The crontab beside lines of others, with Debian's own cron; test/integration/schedule-cron.test.ts has the rest. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createCrontabWorld, OTHERS } from '../../support/schedule/crontab-world.ts';

const { cron, copy, settings, configure, schedule, crontab, install, stop } = await createCrontabWorld();
const STATE = settings.STATE_DIR!;

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

test('the servers stop', stop);

test.run();
