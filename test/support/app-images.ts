import { join } from 'node:path';
import { run } from '../engine/process.ts';
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
  'bad-migration': '2.4.0',
  'locking-migration': '2.5.0',
  'contracting-migration': '3.0.0',
} as const;

export type Variant = keyof typeof variants;

function build(
  directory: string,
  tag: string,
  args: Record<string, string>,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  const buildArgs = Object.entries(args).flatMap(arg => ['--build-arg', arg.join('=')]);
  return run('docker', ['build', '--quiet', '--tag', tag, ...buildArgs, directory], { env });
}

/** Builds `name:variant` from the sources, without a network. The base images have to be there. */
export async function buildBackend(name: string, variant: Variant, env: NodeJS.ProcessEnv): Promise<string> {
  installBackend();
  const tag = `${name}:${variant}`;
  await build(BACKEND, tag, { APP_VARIANT: variant, APP_VERSION: variants[variant] }, env);
  return tag;
}

/** Builds `name:version` of the frontend. */
export async function buildFrontend(name: string, version: string, env: NodeJS.ProcessEnv): Promise<string> {
  const tag = `${name}:${version}`;
  await build(frontendDirectory, tag, { APP_VERSION: version }, env);
  return tag;
}
