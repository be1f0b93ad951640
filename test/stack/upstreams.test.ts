/** Nginx's lists as the scripts change them, where the names of containers are looked up slowly. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startProgram } from '../support/world.ts';
import { upstreams } from './lib/deploy-state.ts';
import { reload } from './lib/puppet.ts';
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
  const name = `${stack.app}-dns`;
  stack.atExit(['rm', '--force', name]);
  const network = `${stack.app}-production_app`;
  const run = ['run', '--detach', '--rm', '--name', name, '--network', network];
  await stack.docker(...run, stack.variables.BACKEND_IMAGE!, 'node', '-e', SLOW_DNS);
  const format = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
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
  import { loadConfig } from './scripts/lib/config.ts';
  import { readUpstream, serviceOf, setUpstream } from './scripts/lib/upstreams.ts';
  const config = loadConfig('production');
  for (const turn of process.argv.slice(1)) {
    const [upstream, service] = turn.split('=');
    const [line] = await readUpstream(upstream);
    await setUpstream(config, upstream, [line.replaceAll(serviceOf(line), service)]);
  }
`;

async function giveTo(...turns: string[]): Promise<void> {
  const { env } = stack.engine;
  const args = ['--input-type=module', '-e', SWITCH, ...turns];
  const { code, stderr } = await startProgram(process.execPath, args, env as Record<string, string>, {
    cwd: stack.directory,
  }).ended;
  assert.is(code, 0, stderr);
}

test('all requests go from one instance to another at once, and none fails', async () => {
  await stack.compose('up', '--detach', '--wait', 'frontend-2');
  await giveTo('backend=backend-2');
  await slowDns();
  await whileVisited(stack, async () => {
    await giveTo('backend=backend-1', 'frontend=frontend-2', 'backend=backend-2', 'frontend=frontend');
  });
  assert.equal(upstreams(stack), {
    backend: 'server backend-2:3000 weight=1 max_fails=3 fail_timeout=10s route=backend-2 resolve;\n',
    frontend: 'server frontend:80 max_fails=0 resolve;\n',
  });
});

test.run();
