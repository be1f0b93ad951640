/**
 * A whole stack, from the repository's own Compose and Nginx files, for the life of a test process; `shared.ts` has
 * one for several. It runs from a copy of these files, so that no test touches an operator's .env files or upstream
 * lists; the files are unchanged. What differs is what an operator sets: names, secrets, images, published ports.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { isKnown } from '../../../scripts/lib/config/variables.ts';
import { percentEncoded } from '../../../scripts/lib/core/format.ts';
import { freePort } from '../../../scripts/lib/drill/free-port.ts';
import { type Engine, ensureEngine } from '../../engine/engine.ts';
import { attempt, type Result, run } from '../../engine/process.ts';
import { ensureImages } from '../../images/images.ts';
import { ensureApp } from './app.ts';

export const ROOT = resolve(import.meta.dirname, '../../..');
export type Environment = 'production' | 'staging';

/** What another process needs to reach a stack. */
export interface Description {
  environment: Environment;
  /** APP_NAME, of this stack alone. */
  app: string;
  /** The copy that it runs from. */
  directory: string;
  /** The variables of its env files. */
  variables: Record<string, string>;
  domain: string;
  /** Published on 127.0.0.1. */
  httpPort: number;
  httpsPort: number;
  /** The certificate that Nginx made for itself, for clients to check; empty until it runs. */
  ca: string;
}

export interface Stack extends Description {
  engine: Engine;
  container(service: string): string;
  compose(...args: string[]): Promise<string>;
  docker(...args: string[]): Promise<string>;
  /** Commands for docker that remove what else a test starts, when this process ends. */
  atExit(...commands: string[][]): void;
  /** Runs a command in a service's container and gives what came of it, whatever the exit code. */
  exec(service: string, ...command: string[]): Promise<Result>;
}

const FILES = [
  'nginx',
  'hooks',
  'postgres',
  'scripts',
  'Dockerfile',
  '.dockerignore',
  'package.json',
  'package-lock.json',
];

/** The images that the Compose files name themselves; those of the product come from `ensureApp`. */
export const officialImages = (): string[] => [
  ...new Set(
    ['production', 'staging'].flatMap(name =>
      [
        ...readFileSync(join(ROOT, `docker-compose.${name}.yml`), 'utf8').matchAll(/^ +image: ([^$\s]+)$/gm),
      ].map(match => match[1]!),
    ),
  ),
];

/** Lays out the files of a stack with an .env file, which go when this process ends, with all that runs from them. */
export async function layOut(
  environment: Environment,
  overrides: Record<string, string> = {},
): Promise<Stack> {
  const description = await writeFiles(environment, overrides);
  return attach(await ensureEngine(), description, true);
}

/**
 * A running stack with a migrated database, for the life of this process.
 *
 * @param edit changes the stack's copy of the files before it starts
 */
export async function startStack(
  environment: Environment = 'production',
  overrides: Record<string, string> = {},
  edit: (directory: string) => void = () => {},
): Promise<Stack> {
  const images = await stackImages();
  const stack = await layOut(environment, { ...images, ...overrides });
  edit(stack.directory);
  return { ...stack, ca: await start(stack) };
}

/** Makes sure of all images of a stack. @returns the variables that name those of the application */
export async function stackImages(): Promise<Record<string, string>> {
  const engine = await ensureEngine();
  await ensureImages(engine, officialImages());
  return ensureApp(engine);
}

/** Starts a stack that is laid out, with a migrated database. @returns the certificate that Nginx made for itself */
export async function start(stack: Stack): Promise<string> {
  await stack.compose('up', '--detach', '--wait', '--wait-timeout', '180', 'postgres', 'redis');
  await stack.compose('run', '--rm', '--no-deps', 'backend-1', 'node', 'src/migrate.ts', 'deploy');
  await stack.compose('up', '--detach', '--wait', '--wait-timeout', '180');
  return certificateOf(stack);
}

export async function certificateOf(stack: Stack): Promise<string> {
  return (await stack.exec('nginx', 'cat', '/etc/nginx/certificates/fullchain.pem')).stdout;
}

/**
 * Writes the files of a stack into a new directory below the temporary one. The caller calls
 * `takeDown`.
 */
export async function writeFiles(
  environment: Environment,
  overrides: Record<string, string> = {},
): Promise<Description> {
  const app = `t${randomBytes(4).toString('hex')}`;
  const directory = mkdtempSync(join(tmpdir(), `${app}-`));
  for (const path of [...FILES, composeFile(environment)])
    cpSync(join(ROOT, path), join(directory, path), { recursive: true });
  for (const path of ['backups', 'logs', 'state']) mkdirSync(join(directory, path));
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));

  const [httpPort, httpsPort] = [await freePort(), await freePort()];
  const newPassword = () => `p@ss w"o'rd\\#$$1-${randomBytes(8).toString('hex')}`;
  const [password, redisPassword] = [newPassword(), newPassword()];
  const { DOMAIN: domain = environment === 'production' ? 'acme.example' : 'staging.acme.example' } =
    overrides;
  const [appPassword, backupPassword] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')];
  const database = `${app}_${environment}`;
  const variables: Record<string, string> = {
    APP_NAME: app,
    DOMAIN: domain,
    POSTGRES_USER: 'acme',
    POSTGRES_DB: database,
    POSTGRES_PASSWORD: password,
    REDIS_PASSWORD: redisPassword,
    APP_DB_PASSWORD: appPassword,
    BACKUP_DB_PASSWORD: backupPassword,
    DATABASE_URL: `postgresql://${app}:${appPassword}@postgres:5432/${database}`,
    REDIS_URL: `redis://:${percentEncoded(redisPassword)}@redis:6379`,
    JWT_SECRET: randomBytes(48).toString('base64url'),
    BACKUP_SIGNING_KEY: randomBytes(32).toString('hex'), // else the first backup writes one into the file
    CORS_ORIGIN: `https://${domain}`,
    BACKEND_IMAGE: 'not-built',
    FRONTEND_IMAGE: 'not-built',
    HTTP_PORT: `${httpPort}`,
    HTTPS_PORT: `${httpsPort}`,
    ...overrides,
  };
  for (const [name, text] of Object.entries(envFiles(environment, variables)))
    writeFileSync(join(directory, name), text, { mode: 0o600 });
  return { environment, app, directory, variables, domain, httpPort, httpsPort, ca: '' };
}

/** The two env files of an environment, by their names, with the variables that belong into each. */
export function envFiles(
  environment: Environment,
  variables: Record<string, string>,
): Record<string, string> {
  const entries = Object.entries(variables);
  return {
    [`.env.${environment}`]: envFile(Object.fromEntries(entries.filter(([name]) => isKnown(name)))),
    [`.env.${environment}.app`]: envFile(Object.fromEntries(entries.filter(([name]) => !isKnown(name)))),
  };
}

/** The text of an .env file. */
export function envFile(variables: Record<string, string>): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name}=${quote(value)}\n`)
    .join('');
}

const composeFile = (environment: Environment) => `docker-compose.${environment}.yml`;
const composeArgs = ({ environment }: Description) => [
  ...['compose', '-f', composeFile(environment), '--env-file', `.env.${environment}`],
];

/** A stack to work with. @param owned whether it is taken down when this process ends */
export function attach(engine: Engine, description: Description, owned: boolean): Stack {
  const { app, environment, directory } = description;
  const options = { env: engine.env, cwd: directory };
  const compose = composeArgs(description);
  const removals: string[][] = [];
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  process.once('exit', code => {
    if (code !== 0) showLogs(engine, app);
    const remove = () => {
      for (const args of removals) spawnSync('docker', args, { ...options, stdio: 'ignore' });
    };
    remove();
    if (!owned) return;
    takeDown(engine, description);
    remove(); // what the stack held on to, such as a network of a test
  });
  const container = (service: string) => `${app}-${service}-${environment}`;
  return {
    ...description,
    engine,
    container,
    compose: (...args) => run('docker', [...compose, ...args], options),
    docker: (...args) => run('docker', args, options),
    atExit: (...commands) => removals.push(...commands),
    exec: (service, ...command) => attempt('docker', ['exec', container(service), ...command], options),
  };
}

/** The last lines of each container, for a test that fails on another machine. Blocks until it is done. */
function showLogs(engine: Engine, app: string): void {
  const docker = (...args: string[]) => {
    const { stdout, stderr } = spawnSync('docker', args, {
      env: engine.env,
      encoding: 'utf8',
      timeout: 30_000,
    });
    return `${stdout ?? ''}${stderr ?? ''}`.trimEnd();
  };
  const format = ['--format', '{{.Names}}\t{{.Status}}'];
  const rows = docker('ps', '--all', '--filter', `name=^${app}-`, ...format).split('\n');
  for (const [name, status] of rows.filter(Boolean).map(row => row.split('\t')))
    process.stderr.write(
      `\n${name} (${status}), its last lines:\n${docker('logs', '--tail', '12', name!)}\n`,
    );
}

/** Removes a stack with all that is named after it, and its files. Blocks until it is done. */
export function takeDown(engine: Engine, description: Description): void {
  const { app, directory, variables } = description;
  const docker = (...args: string[]) =>
    spawnSync('docker', args, { env: engine.env, cwd: directory, encoding: 'utf8' }).stdout ?? '';
  const named = (...list: string[]) =>
    docker(...list, '--quiet', '--filter', `name=^${app}-`)
      .split('\n')
      .filter(Boolean);
  const containers = named('ps', '--all');
  // All at once and without a grace period, which is what takes Compose long.
  if (containers.length > 0) docker('rm', '--force', '--volumes', ...containers);
  docker(...composeArgs(description), '--profile', '*', 'down', '--volumes', '--remove-orphans');
  const networks = named('network', 'ls');
  if (networks.length > 0) docker('network', 'rm', ...networks);
  removeNames(docker, /^127\.0\.0\.1:\d+\//.exec(variables.BACKEND_IMAGE!)?.[0]);
  rmSync(directory, { recursive: true, force: true });
}

/** Removes the names that images got from a registry of the tests; the images stay under their own. */
function removeNames(docker: (...args: string[]) => string, registry?: string): void {
  if (!registry) return;
  const ids = docker('image', 'ls', '--quiet', '--filter', `reference=${registry}shop/*`);
  if (!ids) return;
  const lines = (list: string) => `{{range ${list}}}{{println .}}{{end}}`;
  const format = ['--format', `${lines('.RepoTags')}${lines('.RepoDigests')}`];
  const names = docker('image', 'inspect', ...format, ...ids.trim().split('\n')).split('\n');
  docker('image', 'rm', ...new Set(names.filter(name => name.startsWith(registry))));
}

/** Compose takes what stands between single quotes as it is. */
function quote(value: string): string {
  return `'${value.replaceAll("'", "\\'")}'`;
}
