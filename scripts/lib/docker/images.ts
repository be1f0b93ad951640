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

/** An image as the registry has it. */
export interface Remote {
  /** By its digest: what is pulled, run and remembered. */
  pinned: string;
  /** Of its layers, compressed. */
  bytes: number;
}

/** https://github.com/opencontainers/image-spec/blob/main/image-index.md, and manifest.md beside it */
interface Manifest {
  config?: { size: number };
  layers?: { size: number }[];
  manifests?: { digest: string; platform?: { os: string; architecture: string } }[];
}

/**
 * Asks the registry which digest a name means now; nothing is pulled.
 *
 * @throws OperationalError when the registry has no such image, does not answer, or has none for this server's platform
 */
export async function findRemote(reference: string): Promise<Remote> {
  const repository = repositoryOf(reference);
  const { digest } = JSON.parse(await askRegistry(reference, '--format', '{{json .Manifest}}', reference));
  const manifestOf = async (each: string): Promise<Manifest> =>
    JSON.parse(await askRegistry(reference, '--raw', `${repository}@${each}`));
  let manifest = await manifestOf(digest);
  if (manifest.manifests) {
    const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
    const own = manifest.manifests.find(
      ({ platform }) => platform?.os === 'linux' && platform.architecture === architecture,
    );
    if (!own) {
      throw new OperationalError(
        `${reference} is not built for linux/${architecture}`,
        'build it for this server.',
      );
    }
    manifest = await manifestOf(own.digest);
  }
  const bytes = (manifest.layers ?? []).reduce((sum, { size }) => sum + size, manifest.config?.size ?? 0);
  return { pinned: `${repository}@${digest}`, bytes };
}

async function askRegistry(reference: string, ...args: string[]): Promise<string> {
  try {
    return await sh(`find ${reference}`)`docker buildx imagetools inspect ${args}`;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new OperationalError(
      error.message.replace(/ERROR: /, ''),
      /not found/.test(error.stderr)
        ? 'the registry has no such image: check the tag, and that its build has ended.'
        : 'check the network, and `docker login` for the registry.',
    );
  }
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

/** Pulls an image by its digest, unless it is here. @throws CommandError when it can't be pulled */
export async function pull(pinned: string): Promise<void> {
  if (await imageId(pinned)) return;
  log.info(`pulling ${shortName(pinned)}`);
  const hint = 'check the network, the disk, and `docker login` for the registry.';
  await sh(`pull ${pinned}`, { timeout: 1800, hint })`docker pull --quiet ${pinned}`;
}

/**
 * Removes the images of these two repositories, except those in `keep` and those that a container uses. No other
 * repository's images are touched.
 */
export async function pruneImages(config: Config, keep: Images[]): Promise<void> {
  if (!config.images) return;
  const repositories = new Set([config.images.backend, config.images.frontend].map(repositoryOf));
  const kept = new Set(
    await Promise.all(keep.flatMap(({ backend, frontend }) => [imageId(backend), imageId(frontend)])),
  );
  const lines = await run(listImages([...repositories]), { purpose: 'list images' });
  let removed = 0;
  for (const line of lines.split('\n').filter(Boolean)) {
    const { id, repository, tag, digest } = JSON.parse(line) as Record<string, string>;
    if (kept.has(id)) continue;
    // By its names in these repositories: removing its id would remove the names that other repositories give it.
    const names = [...(tag === '<none>' ? [] : [`${repository}:${tag}`]), `${repository}@${digest}`];
    for (const name of names) {
      try {
        await sh(`remove ${name}`)`docker image rm ${name}`;
        removed++;
      } catch (error) {
        if (!(error instanceof CommandError)) throw error; // a container uses it, or it went with the other name
      }
    }
  }
  if (removed > 0) log.info(`removed ${plural(removed, 'name')} of old images`);
}
