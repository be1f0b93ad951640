/** What a deployment changes, and what it must not leave behind. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { Release } from '../../../scripts/lib/deploy/releases.ts';
import type { Ended } from '../../support/core/world.ts';
import type { Deployable } from './deployable.ts';
import type { Stack } from './stack.ts';
import { sql } from './visitor.ts';

const read = (stack: Stack, path: string) => readFileSync(join(stack.directory, path), 'utf8');

/** The upstream lists, as Nginx reads them next. */
export const upstreams = (stack: Stack) => ({
  backend: read(stack, 'nginx/upstreams/backend.conf'),
  frontend: read(stack, 'nginx/upstreams/frontend.conf'),
});

/** The names of the backends that Nginx sends requests to. */
export const listed = (stack: Stack): string[] =>
  [...upstreams(stack).backend.matchAll(/^server ([\w-]+):(?!.* down\b)/gm)].map(([, name]) => name!);

/** @returns the stack's containers: name, id, state, and since when it runs */
export async function containers(stack: Stack): Promise<string[]> {
  const project = `label=com.docker.compose.project=${stack.app}-${stack.environment}`;
  const ids = await stack.docker('ps', '--all', '--quiet', '--no-trunc', '--filter', project);
  const format = '{{.Name}} {{.Id}} {{.Image}} {{.State.Status}} {{.State.StartedAt}} {{.RestartCount}}';
  const lines = await stack.docker('inspect', '--format', format, ...ids.split('\n').filter(Boolean));
  return lines.split('\n').sort();
}

/** All that must be the same after a run that has changed nothing. */
export async function everything(stack: Stack) {
  const state = globSync('state/*', { cwd: stack.directory }).filter(
    path => !/history\.jsonl$|\.lock$/.test(path),
  );
  return {
    containers: await containers(stack),
    env: read(stack, `.env.${stack.environment}`),
    upstreams: upstreams(stack),
    state: Object.fromEntries(state.sort().map(path => [path, read(stack, path)])),
  };
}

/** All that must be the same after a release that was taken back: its line in releases.jsonl is new. */
export async function serving(stack: Stack) {
  const format = '{{.Name}} {{.Image}} {{.State.Status}}';
  const project = `label=com.docker.compose.project=${stack.app}-${stack.environment}`;
  const ids = await stack.docker('ps', '--all', '--quiet', '--filter', project);
  const lines = await stack.docker('inspect', '--format', format, ...ids.split('\n').filter(Boolean));
  return {
    containers: lines.split('\n').sort(),
    env: read(stack, `.env.${stack.environment}`),
    upstreams: upstreams(stack),
  };
}

/** @returns the file that a deployment keeps while it runs */
export function journal(stack: Stack): { step: string; release: string } | undefined {
  const path = join(stack.directory, `state/${stack.environment}.deploy.json`);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}

export function releases(stack: Stack): Release[] {
  const path = join(stack.directory, 'state/releases.jsonl');
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
}

/** Sessions of migrations that the database still has. */
export const sessions = (stack: Stack) =>
  sql(stack, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stack-migrate'");

/** @throws if a deployment has left something: its journal, a container, a session, half a file */
export async function assertNothingLeft({ stack, registry }: Deployable): Promise<void> {
  assert.is(journal(stack), undefined, 'there is a journal');
  assert.is(await sessions(stack), '0', 'a session of migrations is still there');
  const project = `${stack.app}-${stack.environment}`;
  const format = '{{.Names}} {{.Image}} {{.Label "com.docker.compose.project"}}';
  const all = (await stack.docker('ps', '--all', '--format', format)).split('\n');
  const stray = all.filter(
    line =>
      /-(frontend-2|migrate)-/.test(line.includes(stack.app) ? line : '') ||
      (line.includes(`${registry.host}/`) && !line.endsWith(` ${project}`) && !/^\S+-forwarder /.test(line)),
  );
  assert.equal(stray, [], 'containers are left');
  const running = (await containers(stack)).flatMap(line => /-(backend-\d)-/.exec(line)?.[1] ?? []);
  assert.equal(running, listed(stack).toSorted(), 'instances run that are not in the list');
  // Not in backups/: there the next backup does it.
  const partial = globSync(['*.partial', '.*.partial', '{nginx,state}/**/*.partial'], {
    cwd: stack.directory,
  });
  assert.equal(partial, []);
  assert.not(existsSync(join(stack.directory, 'nginx/maintenance/on')), 'the maintenance page is on');
}

/** @throws unless the last release, the env file and every container are of the images that were published so */
export async function assertServing(
  { stack, registry }: Deployable,
  published: Awaited<ReturnType<Deployable['publish']>>,
): Promise<void> {
  const images = {
    backend: `${registry.host}/shop/backend@${published.backend}`,
    frontend: `${registry.host}/shop/frontend@${published.frontend}`,
  };
  assert.equal(releases(stack).at(-1)!.images, images);
  const { containers: lines, env } = await serving(stack);
  for (const [part, image] of Object.entries(images)) {
    assert.ok(env.includes(`${part.toUpperCase()}_IMAGE=${image}\n`), `${image} is not in:\n${env}`);
    const id = await stack.docker('image', 'inspect', '--format', '{{.Id}}', image);
    const own = lines.filter(line => line.includes(`-${part}-`));
    assert.ok(own.length > 0);
    for (const line of own) assert.match(line, new RegExp(` ${id} running$`));
  }
}

/** @throws unless health-check.ts finds the stack itself well, and names what runs as far as the application tells it */
export async function assertHealthy({ stack, application, run }: Deployable): Promise<void> {
  const only = 'api,frontend,backend,versions,postgres,redis,containers';
  const { code, stdout, stderr } = await run('health-check', ['--only', only, '--json']);
  assert.is(code, 0, stdout + stderr);
  const { services } = JSON.parse(stdout) as { services: Record<string, { message: string }> };
  const { healthPath, tellsVersion } = application;
  const [version, image] = [String.raw`\d+\.\d+\.\d+`, String.raw`backend@sha256:\w{12}`];
  const ready = tellsVersion ? `version ${version}` : `without a version in ${healthPath}`;
  const same = tellsVersion ? version : String.raw`${image} \(no version in ${healthPath}\)`;
  const names = listed(stack);
  for (const name of names) assert.match(services[name]!.message, new RegExp(`^ready, ${ready}$`));
  assert.match(services.versions!.message, new RegExp(`^${names.length} of ${names.length} run ${same}$`));
}

/**
 * @throws unless no drain was cut short, and the run says once by what it drains an instance that does not count its requests
 */
export function assertDrained(
  { application: { metricsPath, countsRequests } }: Deployable,
  { stdout, stderr }: Ended,
): void {
  const all = stdout + stderr; // by SSH, what a run logged is on stdout
  assert.not.match(all, /stopping it, which ends them/);
  const said =
    /(\S+) of backend-\d has no http_requests_in_flight: an instance is drained when Nginx has no open request/g;
  const paths = [...all.matchAll(said)].map(([, path]) => path);
  assert.equal(paths, countsRequests ? [] : [metricsPath], all);
}

/** @throws unless the last line of releases.jsonl is as told, and the run's report and exit code go with it */
export function assertEnded(
  stack: Stack,
  { code, stdout, stderr }: Ended,
  exitCode: number,
  outcome: Release['outcome'],
  ...said: RegExp[]
): Release {
  const all = stdout + stderr; // by SSH, what a run logged is on stdout
  assert.is(code, exitCode, all);
  const last = releases(stack).at(-1)!;
  assert.is(last.outcome, outcome, all);
  for (const pattern of said) assert.match(all, pattern, `${pattern} is not in:\n${all}`);
  assert.not.match(stderr, /this is a bug/);
  assert.is(last.canary!.failures.length === 0, last.canary!.failed === 0);
  return last;
}
