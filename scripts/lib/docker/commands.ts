/** Docker's longer command lines, as arrays. They are made here and run elsewhere, so that a test reads them without an engine. */
import { join } from 'node:path';
import { type Environment, envFileOf, ROOT } from '../config/config.ts';

/** Compose with the environment's own file and variables. */
export const compose = (environment: Environment, ...args: string[]): string[] => [
  ...['docker', 'compose', '--file', join(ROOT, `docker-compose.${environment}.yml`)],
  ...['--env-file', envFileOf(environment), ...args],
];

/** Compose's arguments to start a service from an image that is already here, without touching any other. */
export const up = (service: string): string[] => [
  ...['up', '--detach', '--no-deps', '--no-build', '--pull', 'never', '--no-recreate', service],
];

/** Compose's arguments to stop services (stop signal, grace period, all at once) and remove their containers. */
export const remove = (...services: string[]): string[] => ['rm', '--stop', '--force', ...services];

/** A line of JSON, made of Go templates: https://docs.docker.com/engine/cli/formatting/ */
const json = (fields: Record<string, string>) =>
  `{${Object.entries(fields)
    .map(([name, path]) => `"${name}":{{json ${path}}}`)
    .join()}}`;

/** Prints a line of JSON for each container. Not its environment, which holds secrets. */
export const inspectContainers = (...ids: string[]): string[] => {
  const format = json({
    id: '.Id',
    name: '.Name',
    image: '.Config.Image',
    imageId: '.Image',
    labels: '.Config.Labels',
    state: '.State',
    restarts: '.RestartCount',
    memory: '.HostConfig.Memory',
    networks: '.NetworkSettings.Networks',
  });
  return ['docker', 'container', 'inspect', '--format', format, ...ids];
};

/** Prints a container's variables as a JSON array of `NAME=value`; only for a container that has no secret but hashes. */
export const inspectVariables = (name: string): string[] => [
  ...['docker', 'container', 'inspect', '--format', '{{json .Config.Env}}', name],
];

/** Prints a line of JSON for each name that an image of these repositories has on this machine. */
export const listImages = (repositories: string[]): string[] => {
  const format = json({ id: '.ID', repository: '.Repository', tag: '.Tag', digest: '.Digest' });
  const filters = repositories.flatMap(name => ['--filter', `reference=${name}`]);
  return ['docker', 'image', 'ls', '--no-trunc', '--digests', '--format', format, ...filters];
};

/** Labels of a container that holds an image: the image's name, and the Compose project that needs it. */
export const HELD = 'deploy.held-image';
export const HELD_FOR = 'deploy.held-for';

/** A container that is never started, so that `docker image prune` keeps its image. */
export const holdImage = (image: string, project: string): string[] => [
  ...['docker', 'container', 'create', '--network', 'none', '--pull', 'never'],
  ...['--label', `${HELD}=${image}`, '--label', `${HELD_FOR}=${project}`, image, 'true'],
];

/** A container that runs one command, without privileges, and is removed afterwards. */
export const runOnce = (name: string, network: string, image: string, ...command: string[]): string[] =>
  runConfined(name, network, [], image, ...command);

/** The same with options of its own. */
export const runConfined = (
  name: string,
  network: string,
  options: string[],
  image: string,
  ...command: string[]
): string[] => [
  ...['docker', 'run', '--rm', '--interactive'],
  '--init', // a program that is process 1 ignores SIGTERM, which a killed run's `docker run` passes on
  ...['--name', name, '--network', network],
  ...['--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--pids-limit', '256'],
  ...[...options, image, ...command],
];
