import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inSandbox, type Sandbox, until } from '../images/sandbox.ts';

const IMAGE = 'redis:7.0.15-bookworm';

/** What Redis answers to another container of the network. */
async function ask(box: Sandbox, container: string, secret: string, ...command: string[]): Promise<string> {
  const auth = secret ? ['--env', `REDISCLI_AUTH=${secret}`] : [];
  const { stdout, stderr } = await box.once(
    '--network',
    box.id,
    ...auth,
    IMAGE,
    'redis-cli',
    '-h',
    container,
    ...command,
  );
  return (stdout + stderr).trim();
}

test('a configuration file alone starts the server with it, as uid 999, and data outlives a stop', () =>
  inSandbox(IMAGE, async box => {
    const [network, volume] = [await box.network(), await box.volume()];
    const file = box.file('redis.conf', 'requirepass hush\nappendonly yes\nmaxmemory 64mb\n');
    const options = [
      '--network',
      network,
      '--volume',
      `${volume}:/data`,
      '--volume',
      `${file}:/etc/own.conf:ro`,
    ];
    const first = await box.start('first', ...options, IMAGE, '/etc/own.conf');
    await until('Redis', async () => (await ask(box, first, 'hush', 'PING')) === 'PONG');
    assert.match(await ask(box, first, '', 'PING'), /NOAUTH/);
    assert.equal(await box.users(first, 'redis-server'), ['999']);
    assert.match(await ask(box, first, 'hush', 'CONFIG', 'GET', 'maxmemory'), /67108864/);
    assert.match(await ask(box, first, 'hush', 'CONFIG', 'GET', 'dir'), /\/data/);
    assert.match(await ask(box, first, 'hush', 'INFO', 'server'), /redis_version:7\./);
    assert.is(await ask(box, first, 'hush', 'SET', 'kept', 'value'), 'OK');
    assert.is(await box.stop(first), 0);

    const second = await box.start('second', ...options, IMAGE, 'redis-server', '/etc/own.conf');
    await until('Redis', async () => (await ask(box, second, 'hush', 'PING')) === 'PONG');
    assert.is(await ask(box, second, 'hush', 'GET', 'kept'), 'value');
  }));

test('options alone start the server, and protected mode is off unless it is asked for', () =>
  inSandbox(IMAGE, async box => {
    const network = await box.network();
    const open = await box.start('open', '--network', network, IMAGE, '--save', '');
    await until('Redis', async () => (await ask(box, open, '', 'PING')) === 'PONG');
    const closed = await box.start('closed', '--network', network, IMAGE, '--protected-mode', 'yes');
    await until('Redis', async () => (await ask(box, closed, '', 'PING')).includes('DENIED'));
  }));

test('it runs hardened: read-only, without new privileges, with three capabilities or as its own user', () =>
  inSandbox(IMAGE, async box => {
    const network = await box.network();
    const hard = [
      '--network',
      network,
      '--read-only',
      '--cap-drop',
      'ALL',
      '--security-opt',
      'no-new-privileges',
    ];
    const add = ['CHOWN', 'SETGID', 'SETUID'].flatMap(name => ['--cap-add', name]);
    for (const [name, ...options] of [
      ['root', ...add],
      ['user', '--user', 'redis'],
    ] as const) {
      const container = await box.start(name, ...hard, ...options, IMAGE);
      await until('Redis', async () => (await ask(box, container, '', 'PING')) === 'PONG');
      assert.equal(await box.users(container, 'redis-server'), ['999']);
      assert.is(await box.stop(container), 0);
    }
  }));

test('other programs run as they are called', () =>
  inSandbox(IMAGE, async box => {
    assert.match((await box.once(IMAGE, 'redis-cli', '--version')).stdout, /^redis-cli 7\./);
    assert.match((await box.once(IMAGE, 'redis-sentinel', '--version')).stdout, /v=7\./);
  }));

test.run();
