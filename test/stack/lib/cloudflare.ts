/**
 * Stands where Cloudflare stands: a forwarder whose address, towards Nginx, is one of Cloudflare's. So a test can
 * be any client that it likes, by the header that Nginx takes from such an address and from no other. The network
 * with that address is internal to the engine: nothing sent to it can leave this machine.
 */
import { randomInt } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../support/core/world.ts';
import { type Ask, ask as askDirectly } from './http.ts';
import type { Stack } from './stack.ts';

const FORWARDER = `
  const net = require('node:net');
  net.createServer(client => {
    const nginx = net.connect(443, process.env.NGINX_ADDRESS);
    client.pipe(nginx).pipe(client);
    for (const socket of [client, nginx]) socket.on('error', () => { client.destroy(); nginx.destroy(); });
  }).listen(8443, () => console.log('listening'));
`;

export interface Cloudflare {
  port: number;
  /** The forwarder's container. */
  forwarder: string;
  /** The network with an address of Cloudflare's, and Nginx' address in it. */
  network: string;
  nginx: string;
  /** The address of a client that has asked this stack for nothing so far: no limit has counted anything of it. */
  client(): string;
  /** A request as Cloudflare passes it on for a client. */
  ask(
    client: string,
    part: 'api' | 'www' | 'site',
    path: string,
    options?: Ask,
  ): ReturnType<typeof askDirectly>;
}

export async function cloudflareBefore(stack: Stack): Promise<Cloudflare> {
  const network = `${stack.app}-cloudflare`;
  const name = `${stack.app}-forwarder`;
  // A file that had this stack before has left it there; it goes with the stack.
  const running = await stack.docker('ps', '--quiet', '--filter', `name=^${name}$`);
  if (!running) await startForwarder(stack, network, name);
  const nginx = await addressIn(stack, network, stack.container('nginx'));
  const published = await stack.docker('port', name, '8443/tcp');
  const port = Number(published.split(':').at(-1));
  return {
    port,
    forwarder: name,
    network,
    nginx,
    client: clientsOf(stack),
    ask: (client, part, path, options = {}) =>
      askDirectly(stack, part, path, {
        ...options,
        port,
        headers: { 'CF-Connecting-IP': client, 'X-Forwarded-For': client, ...options.headers },
      }),
  };
}

async function startForwarder(stack: Stack, network: string, name: string): Promise<void> {
  await createNetwork(stack, network);
  await stack.docker('network', 'connect', network, stack.container('nginx'));
  const address = await addressIn(stack, network, stack.container('nginx'));
  const run = ['run', '--detach', '--rm', '--name', name, '--publish', '127.0.0.1::8443'];
  run.push('--env', `NGINX_ADDRESS=${address}`);
  await stack.docker(...run, stack.variables.BACKEND_IMAGE!, 'node', '-e', FORWARDER);
  await stack.docker('network', 'connect', network, name);
  await until('the forwarder listens', async () => (await stack.docker('logs', name)) === 'listening');
}

/** Gives addresses of 198.18.0.0/15, which is meant for tests; a file beside the stack's says which are taken. */
function clientsOf(stack: Stack): () => string {
  const file = join(stack.directory, 'client-networks');
  let network = '';
  let host = 254;
  return () => {
    if (host === 254) {
      const taken = Number(readFileSync(file, { encoding: 'utf8', flag: 'a+' }));
      writeFileSync(file, `${taken + 1}`);
      network = `198.${18 + (taken >> 8)}.${taken & 255}`;
      host = 0;
    }
    return `${network}.${++host}`;
  };
}

/** Of one of Cloudflare's ranges, a part that no other test uses at the moment. */
async function createNetwork(stack: Stack, name: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    const subnet = `162.158.${randomInt(256)}.0/24`;
    try {
      await stack.docker('network', 'create', '--internal', '--subnet', subnet, name);
      return;
    } catch (error) {
      if (tries === 5 || !String(error).includes('overlaps')) throw error;
    }
  }
}

async function addressIn(stack: Stack, network: string, container: string): Promise<string> {
  const format = `{{with index .NetworkSettings.Networks "${network}"}}{{.IPAddress}}{{end}}`;
  return stack.docker('inspect', '--format', format, container);
}
