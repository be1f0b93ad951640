/* The README's steps from a bare Ubuntu 24.04 to a stack that is healthy, also after a restart of the server: the commands are
   those of the page. What is added to them: answers to questions, and images instead of a registry. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ensureEngine } from '../../engine/engine.ts';
import { officialImages, stackImages } from '../../stack/lib/stack.ts';
import { until } from '../../support/core/world.ts';
import { type Machine, SERVER, startMachine } from '../../support/server/machine.ts';
import { bringRepository, readmeSteps } from '../../support/server/readme.ts';

/** Adds options to the call of a script, before its comment. */
const answered = (block: string, script: string, options: string) =>
  block.replaceAll(new RegExp(`^(\\./scripts/${script}(?: --check)?)`, 'gm'), (call: string) =>
    call.endsWith('--check') ? `${call} || [ $? = 1 ]` : `${call} ${options}`,
  );

const status = async (machine: Machine, address: string) =>
  (
    await machine.outside([
      'curl',
      '-ks',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '--max-time',
      '10',
      '--resolve',
      `*:443:${SERVER}`,
      address,
    ])
  ).stdout;

test('the commands of the README, one after the other', async () => {
  const engine = await ensureEngine();
  const images = await stackImages();
  const machine = await startMachine('noble', { limits: true, bare: true });
  try {
    const [first, second, third, fourth, fifth, ...more] = readmeSteps();
    assert.equal(more, []);
    const paste = await bringRepository(machine);
    await paste(first!);
    const names = `--domain acme.example --backend-image ${images.BACKEND_IMAGE} --frontend-image ${images.FRONTEND_IMAGE}`;
    await paste(answered(second!, 'init.ts', `--yes ${names}`));
    await paste(answered(third!, 'setup-server.ts', '--yes'));
    const all = [...officialImages(), images.BACKEND_IMAGE!, images.FRONTEND_IMAGE!];
    await machine.feed(['docker', 'save', ...all], 'docker load', engine.env);
    await paste(fourth!);
    await paste(fifth!);
    const healthy = async () => {
      const list = (await machine.attempt('docker ps --format "{{.Names}} {{.Status}}"')).stdout.split('\n');
      // An image of a frontend need not have a health check.
      const serving = list.filter(line => /\(healthy\)$/.test(line) || /-frontend-\w+ Up /.test(line));
      return serving.length === 6;
    };
    assert.ok(await healthy(), await machine.run('docker ps --all'));
    const assertServes = async () => {
      assert.is(await status(machine, 'https://acme.example/'), '200');
      assert.is(await status(machine, 'https://api.acme.example/api/v1/health'), '200');
    };
    await assertServes();
    await machine.reboot();
    await until('the stack is healthy again', healthy, 300);
    await assertServes();
    const look = await machine.script('setup-server.ts --check');
    assert.is(look.code, 0, look.stdout);
    // The deploy user runs the scripts, and a module that is missing is installed again.
    const asked = await machine.attempt(
      'cd /opt/acme && runuser -u deploy -- ./scripts/health-check.ts --json --only containers',
    );
    assert.is(asked.code, 0, asked.stdout + asked.stderr);
    await machine.run('rm -r /opt/acme/node_modules/ws');
    const missing = await machine.script('setup-server.ts --check --only modules');
    assert.match(missing.stdout, /node_modules\/ws is missing/);
    await paste('./scripts/setup-server.ts --yes --only modules');
    assert.is((await machine.script('setup-server.ts --check')).code, 0);
  } finally {
    await machine.close();
  }
});

test.run();
