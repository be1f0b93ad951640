/**
 * Images that must stay on this machine for a while. Docker deletes no image of a container, also of one that never runs, so
 * each is held by such a container: https://docs.docker.com/reference/cli/docker/image/prune/
 */
import type { Config } from '../config/config.ts';
import { messageOf, OperationalError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { run, sh } from '../core/shell.ts';
import { HELD, HELD_FOR, holdImage } from './commands.ts';
import { projectOf } from './containers.ts';

/** @returns the containers that hold images, by id, and their images' names */
async function holders(config: Config): Promise<Map<string, string>> {
  const list = sh('look for containers that hold images');
  const mine = `label=${HELD_FOR}=${projectOf(config)}`;
  const format = `{{.ID}} {{.Label "${HELD}"}}`; // another column shortens an image's name
  const lines = await list`docker container ls --all --filter ${mine} --format ${format}`;
  return new Map(lines.split('\n').flatMap(line => (line ? [line.split(' ') as [string, string]] : [])));
}

/**
 * Has `docker image prune --all` keep images until {@link releaseImages}. It can be repeated. A failure is a warning: the images
 * are checked again before something that serves is removed.
 */
export async function holdImages(config: Config, images: string[]): Promise<void> {
  try {
    const held = [...(await holders(config)).values()];
    for (const image of new Set(images)) {
      if (held.includes(image)) continue;
      await run(holdImage(image, projectOf(config)), { purpose: `hold the image ${image}` });
    }
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
    log.warn(`\`docker image prune\` could delete images that the way back needs: ${messageOf(error)}`);
  }
}

/** Ends {@link holdImages}, also of killed runs. A failure is a warning. */
export async function releaseImages(config: Config): Promise<void> {
  try {
    const ids = [...(await holders(config)).keys()];
    if (ids.length > 0) await sh('remove containers that hold images')`docker container rm --force ${ids}`;
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
    log.warn(`containers that hold images stay until the next deployment: ${messageOf(error)}`);
  }
}
