import type { Config, Images } from '../config/config.ts';
import { OperationalError, usageError } from '../core/errors.ts';
import { plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import { CommandError, run } from '../core/shell.ts';
import { imageId } from './containers.ts';

const DIGEST = /^sha256:[0-9a-f]{64}$/;
/** What a registry takes as a tag. */
export const TAG = /^\w[\w.-]{0,127}$/;

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
    if (TAG.test(version)) return `${repositoryOf(image)}:${version}`;
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

interface Manifest {
  config?: { size: number };
  layers?: { size: number }[];
  manifests?: { digest: string; platform?: { os: string; architecture: string } }[];
}

/** Asks the registry which digest a name means now; nothing is pulled. */
export async function findRemote(reference: string): Promise<Remote> {
  const repository = repositoryOf(reference);
  const inspect = async (...args: string[]) => {
    try {
      return await run(['docker', 'buildx', 'imagetools', 'inspect', ...args], {
        purpose: `find ${reference}`,
      });
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      throw new OperationalError(
        `${error.message.replace(/ERROR: /, '')}`,
        /not found/.test(error.stderr)
          ? 'the registry has no such image: check the tag, and that its build has ended.'
          : 'check the network, and `docker login` for the registry.',
      );
    }
  };
  const { digest } = JSON.parse(await inspect('--format', '{{json .Manifest}}', reference)) as {
    digest: string;
  };
  let manifest: Manifest = JSON.parse(await inspect('--raw', `${repository}@${digest}`));
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  if (manifest.manifests) {
    const fitting = manifest.manifests.find(
      ({ platform }) => platform?.os === 'linux' && platform.architecture === architecture,
    );
    if (!fitting) {
      throw new OperationalError(
        `${reference} is not built for linux/${architecture}`,
        'build it for this server.',
      );
    }
    manifest = JSON.parse(await inspect('--raw', `${repository}@${fitting.digest}`));
  }
  const bytes = (manifest.layers ?? []).reduce((sum, { size }) => sum + size, manifest.config?.size ?? 0);
  return { pinned: `${repository}@${digest}`, bytes };
}

/** Pulls an image by its digest, unless it is here. */
export async function pull(pinned: string): Promise<void> {
  if (await imageId(pinned)) return;
  log.info(`pulling ${shortName(pinned)}`);
  const hint = 'check the network, the disk, and `docker login` for the registry.';
  await run(['docker', 'pull', '--quiet', pinned], { purpose: `pull ${pinned}`, timeout: 1800, hint });
}

/**
 * Removes what earlier releases have left of the same two repositories, but for what `keep` names and what a container
 * uses. Nothing else on this machine is touched.
 */
export async function pruneImages(config: Config, keep: Images[]): Promise<void> {
  if (!config.images) return;
  const repositories = [config.images.backend, config.images.frontend].map(repositoryOf);
  const kept = new Set(
    await Promise.all(keep.flatMap(({ backend, frontend }) => [imageId(backend), imageId(frontend)])),
  );
  const format =
    '{"id":{{json .ID}},"repository":{{json .Repository}},"tag":{{json .Tag}},"digest":{{json .Digest}}}';
  const filters = [...new Set(repositories)].flatMap(name => ['--filter', `reference=${name}`]);
  const listing = ['docker', 'image', 'ls', '--no-trunc', '--digests', '--format', format, ...filters];
  let removed = 0;
  for (const line of (await run(listing, { purpose: 'list images' })).split('\n').filter(Boolean)) {
    const { id, repository, tag, digest } = JSON.parse(line) as Record<string, string>;
    if (kept.has(id)) continue;
    // By its names in these repositories: by its id it would lose those that others have given it.
    const names = [...(tag === '<none>' ? [] : [`${repository}:${tag}`]), `${repository}@${digest}`];
    for (const name of names) {
      try {
        await run(['docker', 'image', 'rm', name], { purpose: `remove ${name}` });
        removed++;
      } catch (error) {
        if (!(error instanceof CommandError)) throw error; // a container uses it, or it went with the other name
      }
    }
  }
  if (removed > 0) log.info(`removed ${plural(removed, 'name')} of old images`);
}
