/** A stack whose images come from a registry, and the deployment scripts run on it as an operator runs them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureEngine } from '../../engine/engine.ts';
import { run } from '../../engine/process.ts';
import { ensureImages } from '../../images/images.ts';
import {
  type Application,
  applicationOfTest,
  baseImages,
  buildBackend,
  buildFrontend,
  type Variant,
  variants,
} from '../../support/app/app-images.ts';
import { type Pause, pauseProgram } from '../../support/core/pause.ts';
import { type Ended, type Started, startProgram, until } from '../../support/core/world.ts';
import { type Registry, startRegistry } from '../../support/docker/registry.ts';
import { ask } from './http.ts';
import { type Stack, startStack } from './stack.ts';

/** Arguments of a deployment without a backup and without a question. */
export const UNSAVED = ['--skip-backup', '--reason', 'a test', '--yes'];

export interface Deployable {
  stack: Stack;
  registry: Registry;
  application: Application;
  /** Builds and pushes a variant of the backend, and a frontend, under the variant's version. @returns digests */
  publish(variant: Variant): Promise<{ tag: string; backend: string; frontend: string }>;
  /** Starts `scripts/<script>.ts` of the stack's own copy. */
  start(script: string, args: string[], env?: Record<string, string>): Started;
  run(script: string, args: string[], env?: Record<string, string>): Promise<Ended>;
  /** For a script whose `env` it is given: docker stands still before or after it is called with these words. */
  pauseDocker(words: string, when: 'before' | 'after'): Pause;
}

/** Waits until Nginx knows the addresses of all that it passes requests on to, which may be after it is healthy. */
async function untilVisited(stack: Stack): Promise<void> {
  const answers = (part: 'api' | 'site', path: string) =>
    ask(stack, part, path).then(
      ({ status }) => status === 200,
      () => false,
    );
  await until(
    'each upstream answers',
    async () =>
      (await answers('api', '/api/v1/whoami')) &&
      (await answers('api', '/socket.io/?EIO=4&transport=polling')) &&
      (await answers('site', '/')),
  );
}

/**
 * A stack of version 1.0.0, from the registry, with a short bake.
 *
 * @param keepalive Nginx's `keepalive_min_timeout`, as long as which a deployment waits again and again: a second, unless
 *   told, where nobody sends a second request on a connection, as neither visitor.ts nor the canary does
 * @param address of this machine that the ports are published on
 * @param application whose images it has, else that of TEST_APPLICATION
 * @param edit changes the stack's copy of the files before it starts
 */
export async function startDeployable(
  variables: Record<string, string> = {},
  {
    keepalive = '1s',
    address = '0.0.0.0',
    application = applicationOfTest(),
    edit = (_directory: string): void => {},
  } = {},
): Promise<Deployable> {
  const engine = await ensureEngine();
  await ensureImages(engine, baseImages);
  const registry = await startRegistry(engine.env);
  const { name } = application;
  const publish: Deployable['publish'] = async variant => {
    const tag = variants[variant];
    const backend = await registry.push(
      await buildBackend(`${name}-backend`, variant, engine.env, application.backend),
      `shop/backend:${tag}`,
    );
    const frontend = await registry.push(
      await buildFrontend(`${name}-frontend`, tag, engine.env, application.frontend),
      `shop/frontend:${tag}`,
    );
    return { tag, backend, frontend };
  };
  const first = await publish('v1');
  const images = {
    BACKEND_IMAGE: `${registry.host}/shop/backend@${first.backend}`,
    FRONTEND_IMAGE: `${registry.host}/shop/frontend@${first.frontend}`,
  };
  for (const image of Object.values(images))
    await run('docker', ['pull', '--quiet', image], { env: engine.env });
  const replace = (directory: string, path: string, pattern: RegExp, text: string) => {
    const file = join(directory, path);
    writeFileSync(file, readFileSync(file, 'utf8').replace(pattern, text));
  };
  const stack = await startStack(
    'production',
    {
      ...images,
      MIGRATE_COMMAND: 'node src/migrate.ts deploy',
      DEPLOY_BAKE_SECONDS: '5',
      DEPLOY_READY_TIMEOUT: '60s',
      ...application.variables,
      ...variables,
    },
    directory => {
      edit(directory);
      const line = `keepalive_min_timeout ${keepalive};`;
      // As Nginx's settings.sh tells an operator to.
      for (const part of ['backend', 'frontend']) {
        const port = application.variables[`${part.toUpperCase()}_PORT`];
        if (port) replace(directory, `nginx/upstreams/${part}.conf`, /(?<=^server [\w-]+:)\d+/gm, port);
      }
      replace(directory, 'nginx/snippets/http.conf', /^keepalive_min_timeout \w+;$/m, line);
      replace(directory, 'docker-compose.production.yml', /"0\.0\.0\.0:(?=\$)/g, `"${address}:`);
    },
  );
  await untilVisited(stack);
  const own = engine.env as Record<string, string>;
  const start: Deployable['start'] = (script, args, env = {}) =>
    startProgram(join(stack.directory, `scripts/${script}.ts`), [...args, '--env', stack.environment], {
      ...own,
      ...env,
    });
  const pauseDocker: Deployable['pauseDocker'] = (words, when) =>
    pauseProgram({ directory: stack.directory, env: own }, 'docker', words, when);
  return {
    stack,
    registry,
    application,
    publish,
    start,
    run: (...args) => start(...args).ended,
    pauseDocker,
  };
}
