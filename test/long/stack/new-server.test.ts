/* The README's steps from a bare Ubuntu 24.04 to a stack that is healthy, also after a restart of the server: the commands are
   those of the page. What is added to them: answers to questions, and images instead of a registry. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import { ensureEngine } from '../../engine/engine.ts';
import { run } from '../../engine/process.ts';
import { officialImages, stackImages } from '../../stack/lib/stack.ts';
import { until } from '../../support/core/world.ts';
import { type Machine, PROXY, SERVER, startMachine } from '../../support/server/machine.ts';

/** The blocks of the numbered steps, in their order. */
function steps(): string[] {
  const page = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const section = page.slice(page.indexOf('## On a server'), page.indexOf('## Update'));
  return [...section.matchAll(/^ {3}```bash\n((?: {3}.*\n)+?) {3}```$/gm)].map(([, block]) =>
    block!.replaceAll(/^ {3}/gm, ''),
  );
}

/** Adds options to the call of a script, before its comment. */
const answered = (block: string, script: string, options: string) =>
  block.replaceAll(new RegExp(`^(\\./scripts/${script}(?: --check)?)`, 'gm'), (call: string) =>
    call.endsWith('--check') ? `${call} || [ $? = 1 ]` : `${call} ${options}`,
  );

async function registry(): Promise<Record<string, string>> {
  const own = await run('npm', ['config', 'get', 'registry']);
  return {
    npm_config_registry: own,
    npm_config_proxy: PROXY,
    npm_config_https_proxy: PROXY,
    npm_config_cafile: '/srv/ca.pem',
  };
}

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
    const [first, second, third, fourth, fifth, ...more] = steps();
    assert.equal(more, []);
    await machine.feed(['git', '-C', ROOT, 'bundle', 'create', '-', 'HEAD'], 'cat >/srv/repository');
    await machine.feed(['cat', '/etc/ssl/certs/ca-certificates.crt'], 'cat >/srv/ca.pem');
    const env = { ...(await registry()), REPOSITORY: '/srv/repository', EDITOR: 'true' };
    const paste = (block: string) => machine.run(`set -e\ncd /opt/acme 2>/dev/null || cd\n${block}`, env);
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
