import { hash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE } from '../../engine/engine.ts';
import { attempt, run, withLock } from '../../engine/process.ts';
import { BACKEND, installBackend } from './install-backend.ts';

/** The images that the two Dockerfiles of test/app start from: the ones that the stack runs anyway. */
export const baseImages = ['node:24.21.0-bookworm-slim', 'nginx:1.30.6-trixie'];

const frontendDirectory = join(BACKEND, '../frontend');

/** Every variant of the backend, and the version that its image tells. */
export const variants = {
  v1: '1.0.0',
  v2: '2.0.0',
  'never-ready': '2.1.0',
  'crash-under-traffic': '2.2.0',
  'errors-after-a-minute': '2.3.0',
  faulty: '2.6.0',
  'bad-migration': '2.4.0',
  'locking-migration': '2.5.0',
  'contracting-migration': '3.0.0',
} as const;

export type Variant = keyof typeof variants;

/**
 * Builds an image unless the engine has one of the same sources: some twenty test files want the same two. The build
 * itself would find that nothing changed, and takes two seconds to say so. The tag has the hash of all that the image is
 * made from: a run from other sources must not replace what the containers of this one are compared with.
 */
async function build(
  directory: string,
  name: string,
  args: Record<string, string>,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  const made = hash('sha256', JSON.stringify([sources(directory), args, await ids(baseImages, env)]));
  const tag = `${name}-${made.slice(0, 12)}`;
  const isBuilt = async () => (await ids([tag], env)) !== '';
  if (await isBuilt()) return tag;
  return withLock(join(CACHE, `${name.replaceAll(/\W/g, '-')}.lock`), async () => {
    if (await isBuilt()) return tag;
    const buildArgs = Object.entries(args).flatMap(arg => ['--build-arg', arg.join('=')]);
    await run('docker', ['build', '--quiet', '--tag', tag, ...buildArgs, directory], { env });
    return tag;
  });
}

/** @returns the ids of the images, '' where none of them is there */
async function ids(images: string[], env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout } = await attempt('docker', ['image', 'inspect', '--format', '{{.Id}}', ...images], { env });
  return stdout.trim();
}

/** @returns names and contents of the files that an image is built from; for packages, their lock file stands */
function sources(directory: string): [string, string][] {
  return globSync('**/*', {
    cwd: directory,
    withFileTypes: true,
    exclude: entry => entry.name === 'node_modules',
  })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .sort()
    .map(path => [path.slice(directory.length), readFileSync(path, 'base64')]);
}

/** Builds `name:variant-…` from the sources, without a network. The base images have to be there. */
export async function buildBackend(
  name: string,
  variant: Variant,
  env: NodeJS.ProcessEnv,
  args: Record<string, string> = {},
): Promise<string> {
  installBackend();
  const tag = `${name}:${variant}`;
  return build(BACKEND, tag, { APP_VARIANT: variant, APP_VERSION: variants[variant], ...args }, env);
}

/** Builds `name:version-…` of the frontend. */
export async function buildFrontend(
  name: string,
  version: string,
  env: NodeJS.ProcessEnv,
  args: Record<string, string> = {},
): Promise<string> {
  return build(frontendDirectory, `${name}:${version}`, { APP_VERSION: version, ...args }, env);
}

/** An application of the tests: what its images are built with, what it needs of the stack's variables, and what it tells. */
export interface Application {
  name: 'reference' | 'other';
  backend: Record<string, string>;
  frontend: Record<string, string>;
  variables: Record<string, string>;
  backendPort: number;
  /** Readiness is at `ready` below it. */
  healthPath: string;
  metricsPath: string;
  /** Takes files of several MB, and answers with their length and SHA-256. */
  uploadPath: string;
  /** Whether the answer of `healthPath` has a version. */
  tellsVersion: boolean;
  /** Whether the answer of `metricsPath` has the number of open requests. */
  countsRequests: boolean;
  /** What of the application contract its images do not keep, as a plan says it. */
  contract: string[];
}

/** It keeps all defaults of the application contract. */
export const REFERENCE: Application = {
  name: 'reference',
  backend: {},
  frontend: {},
  variables: {},
  backendPort: 3000,
  healthPath: '/api/v1/health',
  metricsPath: '/api/v1/metrics',
  uploadPath: '/api/v1/uploads',
  tellsVersion: true,
  countsRequests: true,
  contract: [],
};

/** It keeps none of the defaults that a variable can change. */
export const OTHER: Application = {
  name: 'other',
  backend: { APP_CONTRACT: 'other', NODE_ENV: '' },
  frontend: { PORT: '8080', RUN_AS: '1001', VITE_API_URL: 'https://api.neurmatic.com' },
  variables: {
    HEALTH_PATH: '/health',
    METRICS_PATH: '/metrics',
    BACKEND_PORT: '3001',
    FRONTEND_PORT: '8080',
    FRONTEND_USER: '1001',
    WRITABLE_DIR_1: '/app/logs',
    WRITABLE_DIR_2: '/app/uploads',
    UPLOAD_PATHS: '/api/v1/media/upload:10m',
    PUBLIC_PATHS: '/webhooks',
  },
  backendPort: 3001,
  healthPath: '/health',
  metricsPath: '/metrics',
  uploadPath: '/api/v1/media/upload',
  tellsVersion: false,
  countsRequests: false,
  contract: ['the backend exposes 3000; it must heed PORT=3001'],
};

/**
 * The application of a test that runs with each: the one that TEST_APPLICATION names, else the reference application.
 *
 * @throws {Error} when it names none
 */
export function applicationOfTest(): Application {
  const { TEST_APPLICATION: name = REFERENCE.name } = process.env;
  const found = [REFERENCE, OTHER].find(application => application.name === name);
  if (!found) throw new Error(`TEST_APPLICATION is ${name}; it must be reference or other`);
  return found;
}
