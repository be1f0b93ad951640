/** The reference application's images. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine } from '../../engine/engine.ts';
import { run } from '../../engine/process.ts';

const APP = join(import.meta.dirname, '../../app');

/** @returns the variables of an .env file that name the images of a version of the reference application */
export async function ensureApp(engine: Engine, version = 'v1') {
  const backend = `reference-backend:${version}`;
  const frontend = `reference-frontend:${version}`;
  const directory = join(APP, 'backend');
  if (!existsSync(join(directory, 'node_modules')))
    await run('npm', ['ci', '--omit=dev'], { cwd: directory });
  const build = (tag: string, args: string[]) =>
    run('docker', ['build', '--quiet', '--tag', tag, ...args], { env: engine.env });
  await build(backend, ['--build-arg', `APP_VARIANT=${version}`, directory]);
  await build(frontend, [join(APP, 'frontend')]);
  return { BACKEND_IMAGE: backend, FRONTEND_IMAGE: frontend };
}
