import type { Config, Images } from '../config/config.ts';
import { OperationalError, usageError } from '../core/errors.ts';
import { plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import { CommandError, run, sh } from '../core/shell.ts';
import { listImages } from './commands.ts';

/** A tag, as a pattern: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests */
export const TAG = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}';
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** @returns whether a registry takes this as a tag */
export const isTag = (text: string): boolean => new RegExp(`^${TAG}$`).test(text);

/** @returns an image's name without tag and digest: `ghcr.io/owner/backend`, `127.0.0.1:5000/backend` */
export function repositoryOf(reference: string): string {
  return reference.replace(/@.*$/, '').replace(/:[^/:]*$/, '');
}

/** @returns the tag or the digest of an image's name: `1.2.0`, `sha256:…` */
export const versionOf = (reference: string): string => reference.slice(repositoryOf(reference).length + 1);

/** @returns an image as people recognise it: `backend:1.2.0`, `backend@sha256:0123456789ab` */
export function shortName(reference: string): string {
  return reference.replace(/^.*\//, '').replace(/(sha256:[0-9a-f]{12})[0-9a-f]+/, '$1');
}

/**
 * The images that the arguments of deploy.ts name, in the repositories of those that are configured: one tag means both,
 * a digest names one image, and what is not named stays as it is.
 *
 * @throws exit code 2 for what is neither a tag nor a digest
 */
export function namedImages(
  configured: Images,
  backend: string,
  frontend = DIGEST.test(backend) ? '' : backend,
): Images {
  const name = (image: string, version: string) => {
    if (version === '') return image;
    if (DIGEST.test(version)) return `${repositoryOf(image)}@${version}`;
    if (isTag(version)) return `${repositoryOf(image)}:${version}`;
    throw usageError(
      `${JSON.stringify(version)} is neither a tag nor a digest`,
      'give a tag such as v1.2.0, or sha256: and 64 hexadecimal digits.',
    );
  };
  return { backend: name(configured.backend, backend), frontend: name(configured.frontend, frontend) };
}

/** @returns the id of a local image, `sha256:…`, or undefined if there is none of this name or id */
export async function imageId(reference: string): Promise<string | undefined> {
  try {
    return await sh(
      `look for the image ${reference}`,
    )`docker image inspect --format ${'{{.Id}}'} ${reference}`;
  } catch (error) {
    // `docker image ls`, which would not fail, finds no image by its id.
    if (error instanceof CommandError && /no such image/i.test(error.stderr)) return undefined;
    throw error;
  }
}

/**
 * Pulls an image, unless it is here.
 *
 * @throws OperationalError with the command that brings it, when it can't be pulled
 */
export async function pull(pinned: string): Promise<void> {
  if (await imageId(pinned)) return;
  if (pinned.startsWith('sha256:')) {
    throw new OperationalError(
      `the image ${pinned} is not on this server any more, and no registry name is known for it`,
      '`docker load` or `docker build` can bring it back.',
    );
  }
  log.info(`pulling ${shortName(pinned)}`);
  const state = `\`docker pull ${pinned}\` must succeed first.`;
  const hint = 'check the network, the disk, and `docker login` for the registry.';
  await sh(`pull ${pinned}`, { timeout: 1800, state, hint })`docker pull --quiet ${pinned}`;
}

/** Pulls what is not here of a release. @throws like {@link pull} */
export async function pullBoth({ backend, frontend }: Images): Promise<void> {
  await pull(backend);
  await pull(frontend);
}

/**
 * @returns a name that stays valid for an image that a container was started from: its tag while that means the same image,
 *   else the digest by which the registry knows it, else its id, which can't be pulled
 */
export async function lastingName({
  image,
  imageId: id,
}: {
  image: string;
  imageId: string;
}): Promise<string> {
  if ((await imageId(image)) === id) return image;
  const list = await sh(
    `find the digest of ${id}`,
  )`docker image inspect --format ${'{{json .RepoDigests}}'} ${id}`;
  const digests = (JSON.parse(list) ?? []) as string[];
  return digests.find(each => repositoryOf(each) === repositoryOf(image)) ?? id;
}

/** An image of this machine. */
export interface LocalImage {
  id: string;
  /** Its names in some repositories, by tag and by digest. */
  names: string[];
}

/**
 * @returns the images of the two repositories that are configured, except those in `keep`. No other repository's are among them
 * @throws CommandError when Docker does not answer
 */
export async function imagesBeside(config: Config, keep: Images[]): Promise<LocalImage[]> {
  if (!config.images) return [];
  const repositories = new Set([config.images.backend, config.images.frontend].map(repositoryOf));
  const kept = new Set(
    await Promise.all(keep.flatMap(({ backend, frontend }) => [imageId(backend), imageId(frontend)])),
  );
  const lines = await run(listImages([...repositories]), { purpose: 'list images' });
  const images = new Map<string, string[]>();
  for (const line of lines.split('\n').filter(Boolean)) {
    const { id = '', repository, tag, digest } = JSON.parse(line) as Record<string, string>;
    if (kept.has(id)) continue;
    const names = [
      ...(tag === '<none>' ? [] : [`${repository}:${tag}`]),
      ...(digest === '<none>' ? [] : [`${repository}@${digest}`]),
    ];
    images.set(id, [...new Set([...(images.get(id) ?? []), ...names])]);
  }
  return [...images].map(([id, names]) => ({ id, names }));
}

/**
 * Removes an image by its names in these repositories: by its id, the names that other repositories give it would go, too.
 * One that a container uses stays.
 * @returns how many names were removed
 */
export async function removeNames({ names }: LocalImage): Promise<number> {
  let removed = 0;
  for (const name of names) {
    try {
      await sh(`remove ${name}`)`docker image rm ${name}`;
      removed++;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error; // a container uses it, or it went with the other name
    }
  }
  return removed;
}

/** Removes the images of {@link imagesBeside}, except those that a container uses. */
export async function pruneImages(config: Config, keep: Images[]): Promise<void> {
  let removed = 0;
  for (const image of await imagesBeside(config, keep)) removed += await removeNames(image);
  if (removed > 0) log.info(`removed ${plural(removed, 'name')} of old images`);
}
