import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inSandbox, until } from '../images/sandbox.ts';

const IMAGE = 'node:24.21.0-bookworm-slim';

test('options and files are meant for node, programs run as they are called', () =>
  inSandbox(IMAGE, async box => {
    const script = box.file('hello.mjs', "console.log('hello', process.version, process.argv[2])");
    const mount = ['--volume', `${script}:/srv/hello.mjs:ro`];
    assert.match((await box.once(...mount, IMAGE, '/srv/hello.mjs', 'you')).stdout, /^hello v24\.\S+ you$/m);
    assert.is((await box.once(IMAGE, '--print', '6 * 7')).stdout.trim(), '42');
    assert.match((await box.once(IMAGE, 'npm', '--version')).stdout, /^\d+\./);
    assert.match((await box.once(IMAGE, 'npx', '--version')).stdout, /^\d+\./);
    assert.is(
      (await box.once('--user', 'node', IMAGE, 'sh', '-c', 'id -u; id -g; echo $HOME')).stdout,
      '1000\n1000\n/home/node\n',
    );
  }));

test('a hardened server under init ends on SIGTERM', () =>
  inSandbox(IMAGE, async box => {
    const server = `const server = require('http').createServer((_, response) => response.end('up')).listen(3000);
      process.on('SIGTERM', () => server.close(() => process.exit(0)))`;
    const hard = [
      '--init',
      '--read-only',
      '--user',
      'node',
      '--cap-drop',
      'ALL',
      '--security-opt',
      'no-new-privileges',
    ];
    const container = await box.start(
      'server',
      ...hard,
      '--publish',
      '127.0.0.1::3000',
      IMAGE,
      '--eval',
      server,
    );
    const url = await box.url(container, 3000);
    const body = await until('the server', () =>
      fetch(url).then(
        response => response.text(),
        () => '',
      ),
    );
    assert.is(body, 'up');
    assert.equal(await box.users(container, 'node --eval'), ['1000']);
    assert.is(await box.stop(container), 0);
  }));

test.run();
