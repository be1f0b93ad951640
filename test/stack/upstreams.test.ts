/** Nginx's lists as the scripts change them: on a full disk, and where the names of containers are looked up slowly. */
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fill, withDisk } from '../support/core/disk.ts';
import { type Ended, startProgram, until } from '../support/core/world.ts';
import { upstreams } from './lib/deploy-state.ts';
import { ask, json } from './lib/http.ts';
import { backendsAre, reload, runBeside, upstreamIs } from './lib/puppet.ts';
import { startStack } from './lib/stack.ts';
import { whileVisited } from './lib/visitor.ts';

const stack = await startStack();

/** Passes what it is asked on to Docker's name server, and the answer back 700 ms later. */
const SLOW_DNS = `
  const { createSocket } = require('node:dgram');
  const server = createSocket('udp4');
  server.on('message', (question, from) => {
    const docker = createSocket('udp4');
    docker.once('message', answer => {
      docker.close();
      setTimeout(() => server.send(answer, from.port, from.address), 700);
    });
    docker.send(question, 53, '127.0.0.11');
  });
  server.bind(5353);
`;

async function slowDns(): Promise<void> {
  const name = await runBeside(stack, 'dns', SLOW_DNS);
  const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}';
  const address = await stack.docker('inspect', '--format', format, name);
  const file = join(stack.directory, 'nginx/snippets/http.conf');
  const text = readFileSync(file, 'utf8');
  const changed = text.replace(/^resolver \S+/m, `resolver ${address}:5353`);
  assert.is.not(changed, text);
  writeFileSync(file, changed);
  await reload(stack);
}

/** In a process of the stack's own copy, as the scripts do it. */
const SWITCH = `
  import { loadConfig } from './scripts/lib/config/config.ts';
  import { readUpstream, serviceOf, setUpstream } from './scripts/lib/nginx/upstreams.ts';
  const config = loadConfig('production');
  for (const turn of process.argv.slice(1)) {
    const [upstream, service] = turn.split('=');
    const [line] = readUpstream(upstream);
    await setUpstream(config, upstream, [line.replaceAll(serviceOf(line), service)]);
  }
`;

function tryGiveTo(...turns: string[]): Promise<Ended> {
  const args = ['--input-type=module', '-e', SWITCH, ...turns];
  const env = stack.engine.env as Record<string, string>;
  return startProgram(process.execPath, args, env, { cwd: stack.directory }).ended;
}

async function giveTo(...turns: string[]): Promise<void> {
  const { code, stderr } = await tryGiveTo(...turns);
  assert.is(code, 0, stderr);
}

async function restartNginx(): Promise<void> {
  await stack.docker('restart', stack.container('nginx'));
  const answers = () =>
    ask(stack, 'api', '/api/v1/whoami').then(
      ({ status }) => status === 200,
      () => false,
    );
  await until('Nginx passes requests on', answers);
}

test('a full disk changes neither the list nor what Nginx has loaded', async () => {
  const directory = join(stack.directory, 'nginx/upstreams');
  const before = upstreams(stack);
  await withDisk(directory, 64 * 1024, async () => {
    chmodSync(directory, 0o755);
    for (const [name, text] of Object.entries(before)) writeFileSync(join(directory, `${name}.conf`), text);
    await restartNginx();
    const filler = fill(directory);
    const { code, stderr } = await tryGiveTo('backend=backend-2');
    assert.is.not(code, 0);
    assert.match(stderr, /ENOSPC/);
    assert.equal(readdirSync(directory).sort(), ['backend.conf', 'filler', 'frontend.conf']);
    assert.equal(upstreams(stack), before);
    const { code: refused, stderr: why } = await stack.exec('nginx', 'nginx', '-t', '-q');
    assert.is(refused, 0, why);
    assert.is((await ask(stack, 'api', '/api/v1/whoami')).status, 200);
    rmSync(filler);
    await giveTo('backend=backend-2');
    assert.is((await ask(stack, 'api', '/api/v1/whoami')).headers['x-instance'], 'backend-2');
  });
  await restartNginx();
});

test('a list that Nginx refuses is undone', async () => {
  const file = join(stack.directory, 'nginx/snippets/http.conf');
  const [text, before] = [readFileSync(file, 'utf8'), upstreams(stack)];
  writeFileSync(file, `${text}nonsense on;\n`);
  try {
    const { code, stderr } = await tryGiveTo('backend=backend-2');
    assert.is.not(code, 0);
    assert.match(stderr, /Nginx refuses its configuration: unknown directive "nonsense"/);
    assert.equal(upstreams(stack), before);
  } finally {
    writeFileSync(file, text);
  }
});

test('all requests go from one instance to another at once, and none fails', async () => {
  await stack.compose('up', '--detach', '--wait', 'frontend-2');
  await giveTo('backend=backend-2');
  await slowDns();
  await whileVisited(stack, async () => {
    await giveTo('backend=backend-1', 'frontend=frontend-2', 'backend=backend-2', 'frontend=frontend');
  });
  assert.equal(upstreams(stack), {
    backend: 'server backend-2:3000 weight=1 max_fails=3 fail_timeout=0s route=backend-2 resolve;\n',
    frontend: 'server frontend:80 max_fails=0 resolve;\n',
  });
});

/** Reads a request, says so, and closes the connection without an answer. */
const BREAKER = `
  require('node:http').createServer(request => {
    request.resume().once('end', () => {
      console.log('asked');
      request.socket.destroy();
    });
  }).listen(3000, () => console.log('listening'));
`;

test('a request that reached no instance is tried again, whatever its method; one that was sent is not', async () => {
  await giveTo('backend=backend-2'); // so that Nginx knows the address
  // A request tries the two that refuse it, and they are left out from then on.
  const refusing = [3001, 3002].map(
    port => `server backend-2:${port} weight=100 max_fails=1 fail_timeout=60s resolve;\n`,
  );
  const list = `${refusing.join('')}server backend-2:3000 max_fails=0 resolve;\n`;
  const before = await upstreamIs(stack, 'backend', list);
  try {
    assert.is((await ask(stack, 'api', '/api/v1/whoami')).status, 200);
    await upstreamIs(stack, 'backend', list);
    assert.is((await ask(stack, 'api', '/api/v1/jobs', json({ ms: 0 }))).status, 202);

    const breaker = await runBeside(stack, 'breaker', BREAKER);
    const said = () => stack.docker('logs', breaker);
    await until('the breaker listens', async () => (await said()) === 'listening');
    await backendsAre(stack, [breaker]);
    // The first requests may come before Nginx knows its address.
    await until('a request has reached the breaker', async () => {
      assert.is((await ask(stack, 'api', '/api/v1/jobs', json({ ms: 0 }))).status, 502);
      return (await said()) !== 'listening';
    });
    assert.is(await said(), 'listening\nasked');
  } finally {
    await upstreamIs(stack, 'backend', before);
  }
});

test.run();
