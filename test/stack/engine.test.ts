import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { whyNoPackages } from '../engine/apt.ts';
import * as daemon from '../engine/daemon.ts';
import { ensureEngine } from '../engine/engine.ts';
import { attempt, run } from '../engine/process.ts';
import { ensureImages } from '../images/images.ts';
import { inSandbox } from '../images/sandbox.ts';

const SCRIPT = join(import.meta.dirname, '../engine/engine.ts');
const IMAGE = 'redis:7.0.15-bookworm';

test('processes that ask for an engine at once get the same one', async () => {
  const script = (...args: string[]) => attempt(SCRIPT, args, { cwd: '/' });
  const [one, two] = await Promise.all([script('start'), script('start')]);
  assert.is(one.code, 0, one.stderr);
  assert.is(one.stdout, two.stdout);
  assert.is((await script('env')).stdout, one.stdout);
  const id = await run('sh', ['-c', 'eval "$("$0" env)" && docker info --format {{.ID}}', SCRIPT]);
  assert.is(id, await run('docker', ['info', '--format', '{{.ID}}'], await ensureEngine()));
});

test('a run of the tests inside another does not change the engine', async () => {
  const before = daemon.pid();
  const directory = mkdtempSync(join(tmpdir(), 'nested-'));
  try {
    mkdirSync(join(directory, 'stack'));
    symlinkSync(join(import.meta.dirname, '../../node_modules'), join(directory, 'node_modules'));
    const body = "import { test } from 'uvu';\ntest('good', () => {});\ntest.run();\n";
    writeFileSync(join(directory, 'stack/a.test.ts'), body);
    const nested = await attempt(join(import.meta.dirname, '../run.ts'), ['--in', directory]);
    assert.is(nested.code, 0, nested.stdout + nested.stderr);
    assert.match(nested.stdout, /^1 passed, 0 failed, 0 skipped$/m);
  } finally {
    rmSync(directory, { recursive: true });
  }
  assert.is(daemon.pid(), before);
  assert.is((await attempt('docker', ['version'], await ensureEngine())).code, 0);
});

test('unknown arguments are refused', async () => {
  for (const args of [[], ['restart'], ['start', '--now']]) {
    assert.is((await attempt(SCRIPT, args)).code, 2, args.join(' '));
  }
});

test('a missing program is a result, and leaves no timer that keeps the process alive', async () => {
  const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length;
  const before = timers();
  assert.is((await attempt('no-such-program', [])).code, 127);
  assert.is(timers(), before);
});

test('if no engine can be installed, the reason is given', () => {
  assert.is(whyNoPackages({ ID: 'debian', VERSION_ID: '12' }, 0), undefined);
  assert.is(whyNoPackages({ ID: 'debian' }, 0), undefined);
  assert.match(whyNoPackages({ ID: 'debian', VERSION_ID: '12' }, 1000) ?? '', /not root/);
  assert.match(whyNoPackages({ ID: 'debian', VERSION_ID: '11' }, 0) ?? '', /Debian 11/);
  assert.match(whyNoPackages({ ID: 'ubuntu', PRETTY_NAME: 'Ubuntu 22.04' }, 0) ?? '', /Ubuntu 22.04/);
});

test('it runs Compose stacks with health checks and internal networks', () =>
  inSandbox(IMAGE, async box => {
    const redis = {
      image: IMAGE,
      networks: ['data'],
      healthcheck: {
        test: ['CMD', 'redis-cli', 'ping'],
        interval: '30s',
        start_period: '30s',
        start_interval: '1s',
      },
    };
    const client = {
      image: IMAGE,
      networks: ['data'],
      depends_on: { redis: { condition: 'service_healthy' } },
    };
    const services = { redis, client: { ...client, command: ['redis-cli', '-h', 'redis', 'ping'] } };
    const file = box.file(
      'compose.yml',
      JSON.stringify({ services, networks: { data: { internal: true } } }),
    );
    const compose = (...args: string[]) =>
      box.docker('compose', '--project-name', box.id, '--file', file, ...args);
    try {
      assert.match(await compose('run', '--rm', '--quiet-pull', 'client'), /PONG/);
      assert.match(await compose('ps', '--format', '{{.Service}} {{.Health}}'), /^redis healthy$/m);
    } finally {
      await compose('down', '--volumes', '--timeout', '1');
    }
  }));

test('an existing image does not change, and one that can’t be found is named', () =>
  inSandbox(IMAGE, async box => {
    const id = () => box.docker('image', 'inspect', '--format', '{{.Id}}', IMAGE);
    const before = await id();
    await ensureImages(box.engine, [IMAGE, IMAGE]);
    assert.is(await id(), before);

    // Nobody's label: as if pulled.
    const real = 'redis:7.99.99-bookworm';
    await run('sh', ['-c', 'tar --create --files-from /dev/null | docker import - "$0"', real], box.engine);
    try {
      await ensureImages(box.engine, [real]);
      assert.is(await box.docker('image', 'inspect', '--format', '{{len .RootFS.Layers}}', real), '1');
    } finally {
      await box.docker('rmi', real);
    }

    const error = await ensureImages(box.engine, ['neurmatic-test/nowhere:1']).then(
      () => '',
      (thrown: Error) => thrown.message,
    );
    assert.match(error, /no image neurmatic-test\/nowhere:1.*\n.*test\/images/);
  }));

test.run();
