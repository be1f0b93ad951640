/** logs.ts on a real stack: what Docker and Nginx write, also of a hostile visitor, and long lines. A container that is replaced is in deploy-back.test.ts. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startProgram, until } from '../support/core/world.ts';
import { cloudflareBefore } from './lib/cloudflare.ts';
import { sharedStack } from './lib/shared.ts';

const stack = await sharedStack();
const cloudflare = await cloudflareBefore(stack);
const { DOCKER_HOST, DOCKER_CONFIG, PATH } = stack.engine.env as Record<string, string>;
const env = { DOCKER_HOST: DOCKER_HOST!, DOCKER_CONFIG: DOCKER_CONFIG!, PATH: PATH! };
const start = (...args: string[]) => startProgram(`${stack.directory}/scripts/logs.ts`, args, env);

/** Nginx writes its log with a delay. */
async function logged(path: string): Promise<Record<string, never>[]> {
  let found: Record<string, never>[] = [];
  await until(`the log has ${path}`, async () => {
    const { code, stdout, stderr } = await start('--path', path, '--since', '10m', '--json').ended;
    assert.is(code, 0, stderr);
    found = stdout
      .split('\n')
      .filter(Boolean)
      .map(line => JSON.parse(line));
    return found.length > 0;
  });
  return found;
}

test('a request, with the visitor’s address; what a terminal would obey is shown by its code; a line longer than Docker’s pieces is whole', async () => {
  const client = cloudflare.client();
  const agent = `\u009b31m${'"\\'.repeat(3000)}`;
  await cloudflare.ask(client, 'api', `/api/v1/logs-1?secret=1`, { headers: { 'User-Agent': 'a\tb' } });
  await cloudflare.ask(client, 'api', `/api/v1/logs-2/${'x'.repeat(6000)}`, {
    headers: {
      'User-Agent': Buffer.from(agent).toString('latin1'),
      Referer: `https://acme.example/${'\\'.repeat(6000)}`,
    },
  });
  const [first] = await logged('/api/v1/logs-1');
  const { request, service } = first as unknown as { request: Record<string, unknown>; service: string };
  assert.equal([service, request.client, request.path], ['nginx', client, '/api/v1/logs-1']);
  const [second] = await logged('/api/v1/logs-2');
  assert.is((second as unknown as { request: { agent: string } }).request.agent, agent);
  const { stdout } = await start('--path', '/api/v1/logs-2', '--since', '10m').ended;
  assert.match(stdout, /\\x9b31m/);
  assert.not.match(stdout.replaceAll('\n', ''), /\p{Cc}/u);
});

test('the logs of all containers are lines; --follow ends by Ctrl+C', async () => {
  const all = await start('all', '--since', '1h').ended;
  assert.is(all.code, 0, all.stderr);
  for (const service of ['nginx', 'backend-1', 'backend-2', 'postgres', 'redis'])
    assert.match(all.stdout, new RegExp(`^\\S+ \\S+ ${service} `, 'm'));
  const follow = start('--follow', '--path', '/api/v1/logs-3', '--since', '1m');
  let shown = '';
  follow.child.stdout!.on('data', text => {
    shown += text;
  });
  const ask = (name: string) => cloudflare.ask(cloudflare.client(), 'api', `/api/v1/logs-3/${name}`);
  await ask('before');
  await until('it follows', () => shown.includes('/logs-3/before'));
  follow.child.kill('SIGINT');
  const { code, stdout } = await follow.ended;
  assert.is(code, 130);
  assert.is(stdout.split('acme.example/api/v1/logs-3/before ').length, 2);
});

test.run();
