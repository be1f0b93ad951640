import { randomUUID } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Engine, ensureEngine } from '../engine/engine.ts';
import { attempt, run } from '../engine/process.ts';
import { ensureImages } from '../images/images.ts';
import {
  baseImages,
  buildBackend,
  buildFrontend,
  type Variant,
  variants,
} from '../support/app/app-images.ts';
import { send } from '../support/app/load.ts';
import { until } from '../support/core/world.ts';

const stores = { postgres: 'postgres:15.20-bookworm', redis: 'redis:7.0.15-bookworm' };
const hardening = [
  '--read-only',
  '--tmpfs=/tmp',
  '--cap-drop=ALL',
  '--security-opt=no-new-privileges',
  '--init',
];

type Docker = (...args: string[]) => Promise<string>;
type Containers = {
  docker: Docker;
  /** Starts a container by this name in the network, with options, image and command as `docker run` has them. */
  start(name: string, ...args: string[]): Promise<void>;
  /** The full name. */
  id(name: string): string;
  /** The address, on this host, of a port that was published. */
  address(name: string, port: number): Promise<string>;
};

/** Gives a network of its own, and removes it with all containers in it. */
async function withContainers(
  engine: Engine,
  body: (containers: Containers) => Promise<void>,
): Promise<void> {
  const network = `app-${randomUUID().slice(0, 8)}`;
  const docker: Docker = (...args) => run('docker', args, engine);
  const started: string[] = [];
  const id = (name: string) => `${network}-${name}`;
  await docker('network', 'create', network);
  try {
    await body({
      docker,
      id,
      async start(name, ...args) {
        started.push(id(name));
        await docker(
          'run',
          '--detach',
          `--name=${id(name)}`,
          `--network=${network}`,
          `--network-alias=${name}`,
          ...args,
        );
      },
      async address(name, port) {
        return `http://${(await docker('port', id(name), `${port}`)).split('\n')[0]}`;
      },
    });
  } finally {
    await attempt('docker', ['rm', '--force', '--volumes', ...started], engine);
    await docker('network', 'rm', network);
  }
}

/** Asks until the answer is 200. @returns its body */
async function answerOf(url: string): Promise<string> {
  let body = '';
  await until(`${url} answers 200`, async () => {
    const answer = await send('GET', url).catch(() => undefined);
    body = answer?.body ?? '';
    return answer?.status === 200;
  });
  return body;
}

test('each variant is an image: its own version and migrations, a user without privileges', async () => {
  const engine = await ensureEngine();
  await ensureImages(engine, baseImages);
  const migrations: Partial<Record<Variant, string>> = {
    v2: '20250201000000_order_note',
    'bad-migration': '20250201000000_backfill',
    'locking-migration': '20250201000000_rewrite_orders',
    'contracting-migration': '20250201000000_drop_subtitle',
  };
  const look = async (variant: Variant) => {
    const image = await buildBackend('reference-backend', variant, engine.env);
    const format = '{{.Config.User}} {{index .Config.Labels "org.opencontainers.image.version"}}';
    const inspect = ['image', 'inspect', '--format', format, image];
    assert.is(await run('docker', inspect, engine), `node ${variants[variant]}`);
    const script = 'ls prisma/migrations; echo $APP_VARIANT $APP_VERSION';
    const own = migrations[variant] ? [migrations[variant]] : [];
    const container = ['run', '--rm', '--network', 'none', image, 'sh', '-c', script];
    assert.equal((await run('docker', container, engine)).split('\n'), [
      '20250101000000_init',
      ...own,
      `${variant} ${variants[variant]}`,
    ]);
  };
  const [first, ...others] = Object.keys(variants) as Variant[];
  await look(first!); // makes the layers that the others share
  await Promise.all(others.map(look));
});

test('the backend in a container: migrates, becomes ready, answers, and exits with 0', async () => {
  const engine = await ensureEngine();
  await ensureImages(engine, [...baseImages, ...Object.values(stores)]);
  const image = await buildBackend('reference-backend', 'v1', engine.env);
  await withContainers(engine, async ({ docker, start, id, address }) => {
    await Promise.all([
      start('postgres', '--env=POSTGRES_PASSWORD=throwaway', '--env=POSTGRES_DB=app', stores.postgres),
      start('redis', stores.redis),
    ]);
    const accepting = ['exec', id('postgres'), 'pg_isready', '-h', '127.0.0.1'];
    await until(
      'PostgreSQL accepts connections',
      async () => (await attempt('docker', accepting, engine)).code === 0,
    );
    const variables = [
      '--env=DATABASE_URL=postgresql://postgres:throwaway@postgres:5432/app?schema=public',
      '--env=REDIS_URL=redis://redis:6379',
      '--env=JWT_SECRET=throwaway',
    ];
    // Before its migration the instance is ready, and shows that it never migrates by itself.
    await start(
      'backend',
      '--hostname=backend-1',
      '--publish=127.0.0.1::3000',
      ...hardening,
      ...variables,
      image,
    );
    const url = `${await address('backend', 3000)}/api/v1`;
    const ready = await answerOf(`${url}/health/ready`);
    assert.equal(JSON.parse(ready), {
      status: 'ready',
      failed: [],
      version: '1.0.0',
      instance: 'backend-1',
    });
    assert.is((await send('GET', `${url}/articles`)).status, 500);

    await start('migrate', ...hardening, ...variables, image, 'node', 'src/migrate.ts', 'deploy');
    assert.is(await docker('wait', id('migrate')), '0');
    assert.is((await send('GET', `${url}/articles`)).status, 200);

    await docker('stop', '--time=40', id('backend'));
    assert.is(await docker('inspect', '--format={{.State.ExitCode}}', id('backend')), '0');
    const lines = (await docker('logs', id('backend'))).split('\n');
    assert.is(JSON.parse(lines.at(-1)!).message, 'stopped');
  });
});

test('the frontend in a container, without root: page, routes, assets, health, and exits with 0', async () => {
  const engine = await ensureEngine();
  await ensureImages(engine, baseImages);
  const image = await buildFrontend('reference-frontend', '1.0.0', engine.env);
  await withContainers(engine, async ({ docker, start, id, address }) => {
    await start('frontend', '--publish=127.0.0.1::80', ...hardening, image);
    const url = await address('frontend', 80);
    const health = await answerOf(`${url}/health`);
    assert.equal(JSON.parse(health), { status: 'ok', version: '1.0.0' });
    assert.is(await docker('exec', id('frontend'), 'id', '-un'), 'nginx');

    const page = await send('GET', `${url}/`);
    assert.is(page.headers['cache-control'], 'no-cache');
    assert.is((await send('GET', `${url}/account`)).body, page.body, 'the page routes by itself');
    const paths = [...page.body.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, path]) => path!);
    assert.is(paths.length, 2);
    for (const path of paths) {
      const asset = await send('GET', url + path);
      assert.is(asset.status, 200);
      assert.is(asset.headers['cache-control'], 'public, max-age=31536000, immutable');
      assert.match(
        String(asset.headers['content-type']),
        path.endsWith('.js') ? 'application/javascript' : 'text/css',
      );
    }
    const missing = await send('GET', `${url}/assets/app-00000000.js`);
    assert.is(missing.status, 404);
    assert.is(missing.headers['cache-control'], undefined);

    await docker('stop', id('frontend'));
    assert.is(await docker('inspect', '--format={{.State.ExitCode}}', id('frontend')), '0');
  });
});

test.run();
