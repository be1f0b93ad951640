/**
 * A registry of images on this machine's loopback: Debian's docker-registry, or the official image where that can't be
 * had. Debian's keeps the layers for the next ones, which all have the same large ones: pushing those takes longer than
 * starting a stack.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../../../scripts/lib/drill/free-port.ts';
import { install, whyNoPackages } from '../../engine/apt.ts';
import { CACHE } from '../../engine/engine.ts';
import { attempt, run } from '../../engine/process.ts';
import { startChild } from '../core/child.ts';
import { until } from '../core/world.ts';

export interface Registry {
  /** `127.0.0.1:PORT`; the engine takes registries on loopback without TLS. */
  host: string;
  /** Pushes a local image under a name here. @returns its digest, `sha256:…` */
  push(image: string, name: string): Promise<string>;
  start(): Promise<void>;
  /** Its images stay for another start. */
  stop(): Promise<void>;
}

/** For a machine that Debian's program is not on and can't be installed on. */
const IMAGE = 'registry:2.8.3';

/** A registry that runs. */
interface Server {
  start(): void;
  stop(): Promise<unknown>;
  /** Blocks until it and its images are gone. */
  remove(): void;
}

/** Starts a registry; it and its images go when this process ends. */
export async function startRegistry(env: NodeJS.ProcessEnv): Promise<Registry> {
  const host = `127.0.0.1:${await freePort()}`;
  const isMissing = (await attempt('docker-registry', ['--version'])).code === 127;
  if (isMissing && !whyNoPackages()) await install(['docker-registry']);
  const server = isMissing && whyNoPackages() ? await inContainer(host, env) : asProcess(host);
  process.once('exit', server.remove);
  const answers = () =>
    fetch(`http://${host}/v2/`).then(
      ({ ok }) => ok,
      () => false,
    );
  await until('the registry answers', answers);
  return {
    host,
    async push(image, name) {
      const reference = `${host}/${name}`;
      await run('docker', ['tag', image, reference], { env });
      const output = await run('docker', ['push', reference], { env });
      // The name goes here again, or a deployment would find the image without pulling it.
      await run('docker', ['image', 'rm', reference], { env });
      return /digest: (sha256:[0-9a-f]{64})/.exec(output)![1]!;
    },
    async start() {
      server.start();
      await until('the registry answers', answers);
    },
    async stop() {
      await server.stop();
    },
  };
}

function asProcess(host: string): Server {
  const directory = withKnownLayers();
  const config = join(directory, 'config.yml');
  writeFileSync(
    config,
    `version: 0.1
storage: {filesystem: {rootdirectory: ${directory}/data}}
http: {addr: "${host}"}
log: {level: warn}
`,
  );
  const serve = () => {
    const child = startChild('docker-registry', ['serve', config]);
    // It ends with this process and does not keep it alive.
    child.process.unref();
    for (const stream of [child.process.stdout, child.process.stderr]) (stream as Socket).unref();
    return child;
  };
  let child = serve();
  return {
    start() {
      child = serve();
    },
    stop: () => child.stop(),
    remove() {
      child.process.kill('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function inContainer(host: string, env: NodeJS.ProcessEnv): Promise<Server> {
  const name = `registry-${host.split(':')[1]}`;
  await run('docker', ['run', '--detach', '--name', name, '--publish', `${host}:5000`, IMAGE], { env });
  return {
    start: () => void spawnSync('docker', ['start', name], { env }),
    stop: () => run('docker', ['stop', name], { env }),
    remove: () => void spawnSync('docker', ['rm', '--force', '--volumes', name], { env }),
  };
}

/** The repositories that get to know, from the start, the layers that others were sent before. */
const REPOSITORIES = ['shop/backend', 'shop/frontend'];

/**
 * Makes the directory of a registry without images, which has the content of layers that were pushed to one before: the
 * engine asks for each layer before it sends it. In one place with that content, for a registry moves files there.
 */
function withKnownLayers(): string {
  const home = join(CACHE, 'registries');
  const blobs = join(home, 'blobs');
  mkdirSync(join(blobs, 'sha256'), { recursive: true });
  const directory = mkdtempSync(join(home, 'registry-'));
  const root = join(directory, 'data/docker/registry/v2');
  mkdirSync(root, { recursive: true });
  symlinkSync(blobs, join(root, 'blobs'));
  for (const digest of readdirSync(join(blobs, 'sha256')).flatMap(each =>
    readdirSync(join(blobs, 'sha256', each)),
  )) {
    for (const repository of REPOSITORIES) {
      const link = join(root, 'repositories', repository, '_layers/sha256', digest);
      mkdirSync(link, { recursive: true });
      writeFileSync(join(link, 'link'), `sha256:${digest}`);
    }
  }
  return directory;
}
