/** All that a running stack says of itself: to its operator, to Docker, and to visitors. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RUN } from '../../engine/daemon.ts';
import { CACHE } from '../../engine/engine.ts';
import type { Health } from './health.ts';
import { ask, askPlain, hostOf, json, sendRaw } from './http.ts';
import { ROOT, type Stack } from './stack.ts';

/** What each of them said, by its name. Paths of this machine are left out. */
export async function allSaid(stack: Stack, script: Health['script']): Promise<Record<string, string>> {
  const said = {
    ...(await saidByDocker(stack)),
    ...(await saidToVisitors(stack)),
    ...(await saidByScripts(script)),
  };
  return Object.fromEntries(
    Object.entries(said).map(([what, text]) => [
      what,
      [stack.directory, ROOT, CACHE, RUN].reduce((rest, path) => rest.replaceAll(path, ''), text),
    ]),
  );
}

async function saidByDocker({ app, compose, container, docker, exec }: Stack) {
  const lines = async (...args: string[]) => (await docker(...args)).split('\n').filter(Boolean);
  const filter = ['--quiet', '--filter', `name=^${app}-`];
  const containers = await lines('ps', '--all', ...filter);
  const kept = [...(await lines('network', 'ls', ...filter)), ...(await lines('volume', 'ls', ...filter))];
  const logs = await Promise.all(
    ['nginx', 'postgres', 'redis', 'backend-1', 'frontend'].map(service =>
      docker('logs', container(service)),
    ),
  );
  return {
    containers: await docker('inspect', ...containers),
    'networks and volumes': await docker('inspect', ...kept),
    'docker compose config': await compose('--profile', '*', 'config'),
    logs: logs.join('\n'),
    'nginx -T': (await exec('nginx', 'nginx', '-T')).stdout,
  };
}

/** Answers of Nginx itself, and some that it passes on, with their headers. */
async function saidToVisitors(stack: Stack) {
  const answers: Record<string, string> = {};
  const keep = (what: string, answer: unknown) => {
    answers[what] = JSON.stringify(answer);
  };
  const maintenance = join(stack.directory, 'nginx/maintenance/on');
  const cookie = { headers: { Cookie: 'x'.repeat(20_000) } };
  for (const part of ['site', 'api'] as const) {
    for (const path of [
      '/',
      '/none',
      '/a%00b',
      '/a\\b',
      `/${'x'.repeat(9000)}`,
      '/api/v1/metrics',
      '/assets/none.js',
    ])
      keep(`${part} ${path.slice(0, 20)}`, await ask(stack, part, path));
    keep(`${part} 431`, await ask(stack, part, '/', cookie));
    keep(`${part} 413`, await ask(stack, part, '/api/v1/orders', json('x'.repeat(1_100_000))));
    writeFileSync(maintenance, '');
    keep(`${part} 503`, await ask(stack, part, '/'));
    rmSync(maintenance);
    keep(`${part} over HTTP`, await askPlain(stack, hostOf(stack, part), '/'));
  }
  keep('www', await ask(stack, 'www', '/'));
  keep('unreadable', await sendRaw(stack, 'GET /% HTTP/1.1\r\n\r\n'));
  return answers;
}

async function saidByScripts(script: Health['script']) {
  const calls: [name: string, ...args: string[]][] = [
    ['health-check', '--verbose'],
    ['list-backups'],
    ['backup', '--dry-run'],
    ['prune-backups', '--dry-run'],
    ['schedule', 'print'],
    ['scale', '3', '--dry-run'],
    ['restore', '--help'],
    ['ssh-command', '--help'],
    ['rollback', '--list'],
  ];
  const ended = await Promise.all(calls.map(([name, ...args]) => script(name, args)));
  return Object.fromEntries(
    ended.map(({ stdout, stderr }, index) => [calls[index]!.join(' '), `${stdout}${stderr}`]),
  );
}
