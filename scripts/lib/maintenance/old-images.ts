/** Images of earlier releases, beyond those that rollback.ts goes back to. */

import { type Config, ENVIRONMENTS } from '../config/config.ts';
import { bytes, plural } from '../core/format.ts';
import { hasProgram, sh } from '../core/shell.ts';
import { refuseUnfinished } from '../deploy/journal.ts';
import { reachable, readReleases } from '../deploy/releases.ts';
import { KEPT } from '../deploy/report.ts';
import { lookAtListed } from '../docker/containers.ts';
import { imagesBeside, type LocalImage, removeNames, shortName } from '../docker/images.ts';
import { NotConfigured } from '../health/check.ts';
import type { Task, Todo } from './tasks.ts';

/**
 * Removes an image only if its repository is that of this environment's images, a release of this environment is known to
 * have used it, no container of whatever project has it, and it is not one of the releases that either environment of this
 * state directory can go back to without a registry.
 */
export const oldImages = (config: Config): Task => ({
  name: 'images',
  async look() {
    if (!config.images) throw new NotConfigured('BACKEND_IMAGE or FRONTEND_IMAGE is empty');
    if (!hasProgram('docker')) throw new NotConfigured('there is no docker on PATH');
    refuseUnfinished(config);
    const keep = ENVIRONMENTS.flatMap(environment =>
      reachable(readReleases({ ...config, environment })).slice(0, KEPT),
    ).map(({ images }) => images);
    const [beside, used] = [await imagesBeside(config, [config.images, ...keep]), await idsInUse()];
    const free = beside.filter(({ id }) => !used.has(id));
    const recorded = new Set(
      readReleases(config).flatMap(({ images, previous }) => [
        ...Object.values(images),
        ...Object.values(previous),
      ]),
    );
    // A tag may mean another image by now.
    const isOld = ({ id, names }: LocalImage) =>
      [id, ...names.filter(name => name.includes('@'))].some(each => recorded.has(each));
    const [old, others] = [free.filter(isOld), free.filter(image => !isOld(image))];
    const sizes = await sizesOf(free);
    const sum = (images: LocalImage[]) =>
      bytes(images.reduce((all, { id }) => all + (sizes.get(id) ?? 0), 0));
    return {
      found: `${plural(old.length, 'image')} of old releases${old.length > 0 ? `, ${sum(old)} with what they share` : ''}`,
      notes:
        others.length > 0
          ? [
              `${plural(others.length, 'image')} of the same repositories (${sum(others)}) that no release of ${config.environment} has used stay: ${others.map(nameOf).join(', ')}`,
            ]
          : [],
      todo: old.map(
        (image): Todo => ({
          what: `remove ${nameOf(image)} (${bytes(sizes.get(image.id) ?? 0)})`,
          run: async () =>
            (await removeNames(image)) > 0 ? undefined : `left ${nameOf(image)}: a container uses it`,
        }),
      ),
    };
  },
});

const nameOf = ({ id, names }: LocalImage) => shortName(names[0] ?? id);

/** @returns the images of all containers of this machine, also of those that do not run */
async function idsInUse(): Promise<Set<string>> {
  const images = await lookAtListed(
    () => sh('list containers')`docker container ls --all --quiet`,
    ids => sh('list the images of containers')`docker container inspect --format ${'{{.Image}}'} ${ids}`,
  );
  return new Set(images?.split('\n'));
}

async function sizesOf(images: LocalImage[]): Promise<Map<string, number>> {
  if (images.length === 0) return new Map();
  const lines = await sh(
    'read the sizes of images',
  )`docker image inspect --format ${'{{.Id}} {{.Size}}'} ${images.map(({ id }) => id)}`;
  return new Map(
    lines.split('\n').map(line => {
      const [id = '', size] = line.split(' ');
      return [id, Number(size)];
    }),
  );
}
