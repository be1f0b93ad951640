import { join } from 'node:path';
import { type Config, type Images, ROOT } from '../config/config.ts';
import { CommandError, run } from '../core/shell.ts';

/** @returns the name of the Compose project */
export function projectOf({ app, environment }: Config): string {
  return `${app}-${environment}`;
}

/** @returns a container's name as the Compose files give it */
export function containerOf({ app, environment }: Config, service: string): string {
  return `${app}-${service}-${environment}`;
}

interface ComposeOptions {
  purpose: string;
  /** In the place of those that .env.<environment> names. */
  images?: Images;
  hint?: string;
}

/** Runs Compose on the environment's own file. */
export function compose(
  { environment }: Config,
  args: string[],
  { images, ...options }: ComposeOptions,
): Promise<string> {
  const file = join(ROOT, `docker-compose.${environment}.yml`);
  const argv = [
    'docker',
    'compose',
    '--file',
    file,
    '--env-file',
    join(ROOT, `.env.${environment}`),
    ...args,
  ];
  const env = images ? { BACKEND_IMAGE: images.backend, FRONTEND_IMAGE: images.frontend } : {};
  return run(argv, { env, cwd: ROOT, timeout: 300, ...options });
}

/** What is known of a container of the stack. */
export interface Container {
  /** Of the image that it runs: `sha256:…`. */
  imageId: string;
  /** What it was started as: a name with a tag or digest. */
  image: string;
  state: string;
  restarts: number;
  /** Bytes; 0: no limit. */
  memory: number;
}

/** @returns the container of a service, or undefined if there is none */
export async function inspect(config: Config, service: string): Promise<Container | undefined> {
  const name = containerOf(config, service);
  const format =
    '{"imageId":{{json .Image}},"image":{{json .Config.Image}},"state":{{json .State.Status}},' +
    '"restarts":{{.RestartCount}},"memory":{{.HostConfig.Memory}}}';
  const text = await unlessMissing(
    ['docker', 'container', 'inspect', '--format', format, name],
    `inspect ${name}`,
  );
  return text === undefined ? undefined : (JSON.parse(text) as Container);
}

/** @returns the id of a local image, `sha256:…`, or undefined if there is none of this name */
export async function imageId(reference: string): Promise<string | undefined> {
  const argv = ['docker', 'image', 'inspect', '--format', '{{.Id}}', reference];
  return (await unlessMissing(argv, `look for the image ${reference}`))?.trim();
}

async function unlessMissing(argv: string[], purpose: string): Promise<string | undefined> {
  try {
    return await run(argv, { purpose });
  } catch (error) {
    if (error instanceof CommandError && /no such (container|image)/i.test(error.stderr)) return undefined;
    throw error;
  }
}
