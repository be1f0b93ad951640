/*
 * The load balancer's speed: 1,000 users at once through the whole stack, and requests a second over keepalive TLS
 * beside the same Nginx with a bare proxy_pass.
 *
 *   npm run bench -- nginx [--users 1000] [--seconds 60] [--rounds 9]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { table } from '../../scripts/lib/core/format.ts';
import { install } from '../engine/apt.ts';
import { attempt, run } from '../engine/process.ts';
import { type Cloudflare, cloudflareBefore } from '../stack/lib/cloudflare.ts';
import { json } from '../stack/lib/http.ts';
import { ROOT, type Stack, startStack } from '../stack/lib/stack.ts';

const HERE = import.meta.dirname;

export default async function bench(args: string[]): Promise<void> {
  const options = {
    users: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '60' },
    rounds: { type: 'string', default: '9' },
  } as const;
  const { values } = parseArgs({ args, options });
  const stack = await startStack();
  const cloudflare = await cloudflareBefore(stack);
  const users = await manyUsers(stack, cloudflare, values.users, values.seconds);
  const throughput = await besideBare(stack, Number(values.rounds));
  mkdirSync(join(HERE, 'results'), { recursive: true });
  const result = { date: new Date().toISOString(), users, throughput };
  writeFileSync(join(HERE, 'results/nginx.json'), `${JSON.stringify(result, null, 2)}\n`);
}

interface Answers {
  requests: number;
  /** 50, 90, 95, 99 and 100 %. */
  ms: number[];
}

interface Load {
  /** After every user has had an answer. */
  steady: Answers;
  /** The handshakes at the start included. */
  all: Answers;
  /** Requests a second. */
  rate: number;
  errors: number;
  timeouts: number;
  non2xx: number;
}

async function manyUsers(stack: Stack, cloudflare: Cloudflare, users: string, seconds: string) {
  const account = json({ email: 'bench@example.com', password: 'a password of the bench' });
  await cloudflare.ask('192.0.2.1', 'api', '/api/v1/auth/register', account);
  const { body } = await cloudflare.ask('192.0.2.1', 'api', '/api/v1/auth/login', account);
  const name = `${stack.app}-users`;
  stack.atExit(['rm', '--force', name]);
  // The client has its own process and no limits; what it costs is taken from the same two cores all the same.
  const output = await stack.docker(
    ...['run', '--rm', '--name', name, '--network', cloudflare.network, '--volume', `${ROOT}:/repository:ro`],
    ...[stack.variables.BACKEND_IMAGE!, 'node', '/repository/test/bench/nginx/users.ts'],
    ...[cloudflare.nginx, stack.domain, users, seconds, JSON.parse(body).token],
  );
  const load: Load = JSON.parse(output.split('\n').at(-1)!);
  const failed = load.errors + load.timeouts + load.non2xx;
  const row = (name: string, { requests, ms }: Answers) => [
    name,
    String(requests),
    ...ms.map(each => each.toFixed(0)),
  ];
  console.log(
    `${users} users, a request a second each, for ${seconds} s, through the whole stack: ` +
      `${load.rate.toFixed(0)} requests a second, ${failed} failed\n\n` +
      table(
        ['answers', '>requests', '>p50 ms', '>p90 ms', '>p95 ms', '>p99 ms', '>max ms'],
        [row('after each user’s first', load.steady), row('all, with the handshakes', load.all)],
      ),
  );
  const p95 = load.all.ms[2]!;
  console.log(`p95 of all < 200 ms and no error: ${p95 < 200 && failed === 0 ? 'yes' : 'NO'}\n`);
  return { users: Number(users), seconds: Number(seconds), ...load };
}

interface Round {
  rate: number;
  /** Microseconds of Nginx' own processor time for a request. */
  cost: number;
}

/** wrk against both, in turn, so that what else the machine does meets both. */
async function besideBare(stack: Stack, rounds: number) {
  const bare = `${stack.app}-bare`;
  const network = `${stack.app}-${stack.environment}_app`;
  const volume = `${stack.app}-${stack.environment}_certificates`;
  stack.atExit(['rm', '--force', bare]);
  await stack.docker(
    ...[
      'run',
      '--detach',
      '--name',
      bare,
      '--network',
      network,
      '--cpus',
      '2',
      '--ulimit',
      'nofile=8192:8192',
    ],
    ...['--volume', `${volume}:/etc/nginx/certificates:ro`],
    ...['--volume', `${join(HERE, 'nginx/bare.conf')}:/etc/nginx/nginx.conf:ro`, 'nginx:1.30.6-trixie'],
  );
  if ((await attempt('wrk', ['--version'])).code === 127) await install(['wrk']);
  const sides = { ours: stack.container('nginx'), bare };
  const results: Record<keyof typeof sides, Round[]> = { ours: [], bare: [] };
  for (let round = 0; round <= rounds; round++) {
    for (const [side, container] of Object.entries(sides)) {
      const measured = await drive(stack, container, network, round === 0 ? 3 : 5);
      // The first is to warm up.
      if (round > 0) results[side as keyof typeof sides].push(measured);
    }
  }
  const of = (side: keyof typeof sides, what: keyof Round) => median(results[side].map(each => each[what]));
  const ratio = of('ours', 'rate') / of('bare', 'rate');
  console.log(
    `Requests a second over 64 keepalive TLS connections, medians of ${rounds} rounds in turn\n\n` +
      table(
        ['Nginx', '>requests/s', '>µs of Nginx a request'],
        [
          ['bare proxy_pass', of('bare', 'rate').toFixed(0), of('bare', 'cost').toFixed(0)],
          ['production.conf', of('ours', 'rate').toFixed(0), of('ours', 'cost').toFixed(0)],
        ],
      ),
  );
  console.log(`ratio ${ratio.toFixed(2)}, to reach 0.90: ${ratio >= 0.9 ? 'yes' : 'NO'}`);
  return { ratio, results };
}

async function drive(stack: Stack, container: string, network: string, seconds: number): Promise<Round> {
  const format = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  const address = await stack.docker('inspect', '--format', format, container);
  const hosts = join(stack.directory, 'hosts');
  writeFileSync(hosts, `127.0.0.1 localhost\n${address} ${stack.domain}\n`);
  const before = await ticks(stack, container);
  // Its own view of /etc/hosts: the site has its name, which the handshake needs, without a trace on this machine.
  const script = 'mount --bind "$1" /etc/hosts && exec wrk -t 2 -c 64 -d "$2" "$3"';
  const url = `https://${stack.domain}/`;
  const output = await run('unshare', ['--mount', 'sh', '-c', script, 'sh', hosts, `${seconds}s`, url]);
  const spent = (await ticks(stack, container)) - before;
  if (/Non-2xx|Socket errors/.test(output)) throw new Error(output);
  const requests = Number(/(\d+) requests in/.exec(output)?.[1]);
  return { rate: Number(/Requests\/sec: +([\d.]+)/.exec(output)?.[1]), cost: (spent * 10_000) / requests };
}

/** Processor time of all processes of a container, in hundredths of a second. */
async function ticks(stack: Stack, container: string): Promise<number> {
  const stats = await stack.docker('exec', container, 'sh', '-c', 'cat /proc/[0-9]*/stat');
  const nginx = stats.split('\n').filter(line => line.includes('(nginx)'));
  return nginx.reduce((all, line) => {
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
    return all + Number(fields[11]) + Number(fields[12]);
  }, 0);
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
