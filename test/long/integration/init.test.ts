/* init.ts, killed at each step of writing its two files. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { valuesOf } from '../../../scripts/lib/config/env-file.ts';
import { planFiles } from '../../../scripts/lib/setup/plan-files.ts';
import { copyScripts } from '../../support/config/copy.ts';
import { killedAt, stepsOf } from '../../support/core/killed-at.ts';
import { startOnTerminal } from '../../support/core/terminal.ts';

const copy = copyScripts();
const { directory, read, write, run } = copy;
const example = readFileSync(join(directory, '.env.app.example'), 'utf8');
const SHOP = { DOMAIN: 'shop.example', API_DOMAIN: 'api.shop.example', APP_NAME: 'shop' };
const none = { env: '', app: '' };
const plan = planFiles('production', none, SHOP, example);
const call = {
  root: directory,
  file: 'setup/write-files.ts',
  name: 'writeFiles',
  args: ['production', none, { env: plan.env, app: plan.app }],
};

test('each file is there as a whole or not at all, and the next run ends the work', async () => {
  const steps = stepsOf(call);
  assert.is(steps.filter(step => step === 'renameSync').length, 2);
  for (const [at, step] of steps.entries()) {
    write(undefined);
    killedAt(call, at);
    const [env, app] = read();
    const where = `killed before ${step} (${at})`;
    assert.ok(env === undefined || env === plan.env, where);
    assert.ok(app === undefined || (app === plan.app && env === plan.env), where);
    const { code, stderr } = await run('init', [
      '--domain',
      'shop.example',
      '--yes',
      '--resolver',
      '127.0.0.1:9',
    ]);
    assert.is(code, 0, `${where}: ${stderr}`);
    const [after = '', appAfter = ''] = read();
    if (env !== undefined) assert.is(after, env, where);
    if (app !== undefined) assert.is(appAfter, app, where);
    assert.equal(Object.keys(valuesOf(appAfter)), Object.keys(valuesOf(plan.app)));
    for (const name of readdirSync(directory).filter(each => /^\.env\.production/.test(each))) {
      assert.not.match(name, /partial/, where);
      assert.is(statSync(join(directory, name)).mode & 0o777, 0o600);
    }
    rmSync(join(directory, 'state'), { recursive: true });
  }
  assert.ok(existsSync(join(directory, 'backups')));
});

const onTerminal = (...args: string[]) =>
  startOnTerminal({ root: directory, env: { PATH: '/usr/bin:/bin', HOME: directory } }, 'init', args);

test('a file that is changed while it asks is left, and the end of the input changes nothing', async () => {
  for (const [keys, code, says] of [
    ['\r'.repeat(6), 2, /the env files were changed meanwhile; nothing was written/],
    ['\u0004', 2, /the input has ended; nothing was changed/],
    ['shop\u0003', 130, /interrupted by SIGINT/],
  ] as const) {
    write(undefined);
    const terminal = onTerminal('--domain', 'shop.example', '--resolver', '127.0.0.1:9');
    await terminal.shows(/API_DOMAIN/);
    write('REDIS_PASSWORD=mine\n');
    terminal.type(keys);
    assert.is(await terminal.ended, code, terminal.shown());
    assert.match(terminal.shown(), says);
    assert.equal(read(), ['REDIS_PASSWORD=mine\n', undefined]);
  }
});

test('the copy is removed', () => copy.remove());

test.run();
