import { OperationalError } from '../core/errors.ts';
import { CommandError, sh } from '../core/shell.ts';
import { repositoryOf } from './images.ts';

/** An image as the registry has it. */
export interface Remote {
  /** By its digest: what is pulled, run and remembered. */
  pinned: string;
  /** The one of this server's platform, by its digest. */
  platform: string;
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
  let platform = `${repository}@${digest}`;
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
    platform = `${repository}@${own.digest}`;
  }
  const bytes = (manifest.layers ?? []).reduce((sum, { size }) => sum + size, manifest.config?.size ?? 0);
  return { pinned: `${repository}@${digest}`, platform, bytes };
}

async function askRegistry(reference: string, ...args: string[]): Promise<string> {
  try {
    return await sh(`find ${reference}`)`docker buildx imagetools inspect ${args}`;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new OperationalError(
      error.message.replace(/ERROR: /, ''),
      /not found/.test(error.stderr)
        ? 'the registry has no such image: check the tag, and that its build has finished.'
        : 'check the network, and `docker login` for the registry.',
    );
  }
}

/**
 * Asks the registry which digest a name means now; nothing is pulled.
 *
 * @returns undefined where the registry has no such image
 * @throws OperationalError where it does not answer
 */
export async function digestOf(reference: string): Promise<string | undefined> {
  try {
    return JSON.parse(await askRegistry(reference, '--format', '{{json .Manifest}}', reference)).digest;
  } catch (error) {
    if (error instanceof OperationalError && /: not found\b/.test(error.message)) return undefined;
    throw error;
  }
}
