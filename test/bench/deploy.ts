/*
 * What visitors lose while a release replaces another: deploy.ts beside `docker compose up -d` with the new images, and
 * beside a restart of one instance after the other that Nginx is not told of. The same load for each, in turn.
 *
 *   npm run bench -- deploy [--rounds 1] [--requests 20000]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { count, table } from '../../scripts/lib/core/format.ts';
import { run } from '../engine/process.ts';
import { crowdsOf, type Toll } from '../stack/lib/crowd.ts';
import { type Deployable, startDeployable } from '../stack/lib/deployable.ts';

interface Measure extends Toll {
  /** Of the deployment alone; the load may go on longer. */
  seconds: number;
}

interface Way {
  /** To the new release, under load. */
  forward: () => Promise<unknown>;
  /** To the old one, without. */
  back: () => Promise<unknown>;
}

export default async function bench(args: string[]): Promise<void> {
  const options = {
    rounds: { type: 'string', default: '1' },
    requests: { type: 'string', default: '20000' },
  } as const;
  const { values } = parseArgs({ args, options });
  const deployable = await startDeployable(
    { DEPLOY_READY_TIMEOUT: '300s', DEPLOY_BAKE_SECONDS: '0' },
    { keepalive: '5s' },
  );
  const crowdWhile = await crowdsOf(deployable);
  const ways = Object.entries(await waysOf(deployable));
  const results: Record<string, Measure[]> = Object.fromEntries(ways.map(([name]) => [name, []]));
  for (let round = 1; round <= Number(values.rounds); round++) {
    for (const [name, { forward, back }] of ways) {
      let seconds = 0;
      const toll = await crowdWhile(Number(values.requests), async () => {
        const started = performance.now();
        await forward();
        seconds = (performance.now() - started) / 1000;
      });
      results[name]!.push({ seconds, ...toll });
      console.error(`${name}: ${seconds.toFixed(0)} s, ${JSON.stringify(toll.failures)}`);
      await back();
    }
  }
  report(results);
  mkdirSync(join(import.meta.dirname, 'results'), { recursive: true });
  const result = { date: new Date().toISOString(), results };
  writeFileSync(join(import.meta.dirname, 'results/deploy.json'), `${JSON.stringify(result, null, 2)}\n`);
}

async function waysOf({ stack, registry, publish, run: script }: Deployable): Promise<Record<string, Way>> {
  const next = await publish('v2');
  const images = {
    BACKEND_IMAGE: `${registry.host}/shop/backend@${next.backend}`,
    FRONTEND_IMAGE: `${registry.host}/shop/frontend@${next.frontend}`,
  };
  const ours = async (...[name, ...args]: [string, ...string[]]) => {
    const { code, stderr } = await script(name, args);
    if (code !== 0) throw new Error(stderr);
  };
  const file = `docker-compose.${stack.environment}.yml`;
  const compose = ['compose', '-f', file, '--env-file', `.env.${stack.environment}`];
  const up = (...services: string[]) =>
    run('docker', [...compose, 'up', '--detach', '--wait', '--wait-timeout', '300', ...services], {
      cwd: stack.directory,
      env: { ...stack.engine.env, ...images },
    });
  const back = () => stack.compose('up', '--detach', '--wait', '--wait-timeout', '300');
  return {
    'deploy.ts': {
      forward: () => ours('deploy', '2.0.0', '--yes'),
      back: () => ours('rollback', '--yes'),
    },
    'docker compose up -d': { forward: () => up(), back },
    'one by one, no drain': {
      forward: async () => {
        for (const service of ['backend-1', 'backend-2', 'frontend']) await up('--no-deps', service);
      },
      back,
    },
  };
}

function report(results: Record<string, Measure[]>): void {
  const rows = Object.entries(results).map(([name, measures]) => {
    const sum = (of: (each: Measure) => number) => measures.reduce((all, each) => all + of(each), 0);
    const total = (of: (each: Measure) => number) => count(sum(of));
    return [
      name,
      (sum(each => each.seconds) / measures.length).toFixed(0),
      total(each => each.requests),
      total(each => totalOf(each.failures)),
      total(each => each.secondTries),
      total(each => each.ordersLost),
      total(each => each.ordersUntold),
      total(each => each.ordersDoubled),
      total(each => totalOf(each.refused)),
      total(each => each.lost),
      Math.max(...measures.map(each => each.slowest)).toFixed(1),
    ];
  });
  const columns = [
    'way',
    '>s',
    '>requests',
    '>failed',
    '>tried twice',
    '>orders lost',
    '>placed, told otherwise',
    '>doubled',
    '>sockets refused',
    '>events lost',
    '>slowest s',
  ];
  console.log(table(columns, rows));
  for (const [name, measures] of Object.entries(results)) {
    for (const what of ['failures', 'refused'] as const) {
      const kinds = merge(measures.map(each => each[what]));
      const text = Object.entries(kinds).map(([kind, times]) => `${count(times)} × ${kind}`);
      if (text.length > 0) console.log(`${name}: ${text.join(', ')}`);
    }
  }
}

const totalOf = (kinds: Record<string, number>) => Object.values(kinds).reduce((sum, each) => sum + each, 0);

function merge(all: Record<string, number>[]): Record<string, number> {
  const merged: Record<string, number> = {};
  for (const kinds of all)
    for (const [kind, times] of Object.entries(kinds)) merged[kind] = (merged[kind] ?? 0) + times;
  return merged;
}
