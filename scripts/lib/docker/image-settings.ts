/** What an image says of itself, of which the application contract asks for some. */
import { CommandError, sh } from '../core/shell.ts';

/** https://github.com/opencontainers/image-spec/blob/main/config.md */
export interface ImageSettings {
  User?: string;
  /** `3000/tcp` and so on. */
  ExposedPorts?: Record<string, unknown> | null;
  Entrypoint?: string[] | null;
  Cmd?: string[] | null;
  StopSignal?: string;
}

/** @returns what an image of this machine says. @throws CommandError without the image */
export async function settingsOf(image: string): Promise<ImageSettings> {
  return JSON.parse(
    await sh(`inspect ${image}`)`docker image inspect --format ${'{{json .Config}}'} ${image}`,
  );
}

/**
 * Asks the registry; nothing is pulled.
 *
 * @param pinned an image of one platform, by its digest
 * @throws OperationalError when the registry does not answer
 */
export async function remoteSettingsOf(pinned: string): Promise<ImageSettings> {
  const ask = sh(`read the settings of ${pinned}`);
  const image = JSON.parse(
    await ask`docker buildx imagetools inspect --format ${'{{json .Image}}'} ${pinned}`,
  ) as { config?: ImageSettings };
  return image.config ?? {};
}

/**
 * Runs `PROGRAM --version` in a container of an image of this machine, without a network.
 *
 * @returns whether the image has it on its PATH
 * @throws OperationalError when Docker can't tell
 */
export async function imageHas(image: string, program: string): Promise<boolean> {
  const look = sh(`look for ${program} in ${image}`);
  const confined = '--rm --network none --pull never --read-only --cap-drop ALL'.split(' ');
  try {
    await look`docker run ${confined} --security-opt no-new-privileges --entrypoint ${program} ${image} --version`;
    return true;
  } catch (error) {
    // 126 and 127: it can't be run, or is not there. https://docs.docker.com/engine/containers/run/#exit-status
    if (error instanceof CommandError && [126, 127].includes(error.status ?? 0)) return false;
    throw error;
  }
}
