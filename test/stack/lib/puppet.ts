/**
 * A backend that answers as its query says, for what the reference application never does. It is put in the place
 * of the backends as a script would put it there: by the upstream list and a reload.
 *
 *   ?status=503           the status, 200 unless told
 *   ?header=Name:value    a header of the answer, as often as needed
 *   ?type=text/html       its type, JSON unless told
 *   ?wait=100             milliseconds until it answers
 *   ?size=5000            bytes of the body's padding
 *
 * The body is JSON: how many requests have come so far, the most that were open at once, and what this one was.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Stack } from './stack.ts';

const PUPPET = `
  const http = require('node:http');
  let count = 0;
  let inFlight = 0;
  let most = 0;
  http.createServer((request, response) => {
    const { searchParams } = new URL(request.url, 'http://puppet');
    count++;
    most = Math.max(most, ++inFlight);
    request.resume();
    setTimeout(() => {
      inFlight--;
      response.statusCode = Number(searchParams.get('status') ?? 200);
      response.setHeader('Content-Type', searchParams.get('type') ?? 'application/json');
      for (const header of searchParams.getAll('header')) {
        const [name, value] = header.split(/:(.*)/);
        response.appendHeader(name, value);
      }
      const padding = 'x'.repeat(Number(searchParams.get('size') ?? 0));
      response.end(JSON.stringify({ count, most, method: request.method, headers: request.headers, padding }));
    }, Number(searchParams.get('wait') ?? 0));
  }).listen(3000);
`;

/** Starts it; `backendsAre(stack, [puppet])` puts it in place. */
export async function startPuppet(stack: Stack): Promise<string> {
  return runBeside(stack, 'puppet', PUPPET);
}

/** Runs a program of Node in a container beside the backends. @returns the container's name */
export async function runBeside(stack: Stack, role: string, program: string): Promise<string> {
  const name = `${stack.app}-${role}`;
  stack.atExit(['rm', '--force', name]);
  const network = `${stack.app}-${stack.environment}_app`;
  const run = ['run', '--detach', '--rm', '--name', name, '--network', network];
  await stack.docker(...run, stack.variables.BACKEND_IMAGE!, 'node', '-e', program);
  return name;
}

/** Writes the upstream list as a script would: a new file in the old one's place, tested, then a reload. */
export async function backendsAre(stack: Stack, names: string[]): Promise<void> {
  const lines = names.map(name => `server ${name}:3000 weight=1 max_fails=0 route=${name} resolve;\n`);
  await upstreamIs(stack, 'backend', lines.join(''));
}

/** @returns the list as it was */
export async function upstreamIs(stack: Stack, name: 'backend' | 'frontend', text: string): Promise<string> {
  const file = join(stack.directory, 'nginx/upstreams', `${name}.conf`);
  const before = readFileSync(file, 'utf8');
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
  await reload(stack);
  return before;
}

/** Tests the configuration, reloads, and waits until no worker of before takes new connections. */
export async function reload(stack: Stack): Promise<void> {
  const test = await stack.exec('nginx', 'nginx', '-t');
  if (test.code !== 0) throw new Error(test.stderr);
  const before = await workers(stack);
  await stack.exec('nginx', 'nginx', '-s', 'reload');
  for (let tries = 0; tries < 100; tries++) {
    const now = await workers(stack);
    if (now.length > 0 && !now.some(pid => before.includes(pid))) return;
  }
  throw new Error('Nginx goes on with its old workers after a reload');
}

/** The process ids of the workers that accept connections; one that is leaving says so in its title. */
async function workers(stack: Stack): Promise<string[]> {
  const script = 'grep -lz "^nginx: worker process$" /proc/[0-9]*/cmdline';
  const { stdout } = await stack.exec('nginx', 'sh', '-c', script);
  return stdout.split('\n').filter(Boolean);
}
