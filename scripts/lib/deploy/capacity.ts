/** Whether the machine has room for more instances and images. */
import type { Config, Images } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { bytes } from '../core/format.ts';
import { diskOf, readMemory } from '../core/machine.ts';
import { sh } from '../core/shell.ts';
import { inspect } from '../docker/containers.ts';
import { imageId, pullBoth } from '../docker/images.ts';
import { findRemote, type Remote } from '../docker/registry.ts';
import { serviceOf, servingLine, upstreamOf } from '../nginx/upstreams.ts';
import { refuseShortage } from '../postgres/disk-space.ts';

/** @returns the first `count` of backend-1 … 8 that are not used. @throws OperationalError when fewer are free */
export function nextBackends(used: string[], count: number): string[] {
  const free = Array.from({ length: 8 }, (_, i) => `backend-${i + 1}`).filter(name => !used.includes(name));
  if (free.length < count) {
    throw new OperationalError('eight instances are the maximum', 'the Compose file defines no more.');
  }
  return free.slice(0, count);
}

/**
 * @param more the services to add, each with the memory limit of the one that serves now
 * @throws OperationalError when this machine has too little memory
 */
export async function roomInMemory(config: Config, more: string[]): Promise<void> {
  let needed = 0;
  for (const service of more) {
    const like = serviceOf(servingLine(upstreamOf(service)));
    needed += (await inspect(config, like))?.memory ?? 0;
  }
  const { available } = await readMemory();
  if (available >= needed) return;
  throw new OperationalError(
    `${bytes(available)} of memory are available, and ${more.join(', ')} need up to ${bytes(needed)}`,
    'run fewer instances, or give the server more memory.',
  );
}

/** An unpacked layer takes about three times its compressed size. */
const UNPACKED = 3;

/** @throws OperationalError when Docker's disk has too little space for the images that are not here yet */
export async function roomForImages(remotes: Remote[]): Promise<void> {
  let needed = 0;
  for (const { pinned, bytes } of remotes) if (!(await imageId(pinned))) needed += bytes * UNPACKED;
  const root = await sh('find Docker’s disk')`docker info --format ${'{{.DockerRootDir}}'}`;
  const where = `Docker’s disk (${root})`;
  refuseShortage([{ what: 'the images', where, disk: await diskOf(root), bytes: needed }]);
}

/**
 * Pulls what is not here of a release that is known by lasting names.
 * @throws OperationalError when there is too little space for it, or it can't be pulled
 */
export async function pullWithRoom(images: Images): Promise<void> {
  const names = [images.backend, images.frontend];
  const here = await Promise.all(names.map(imageId));
  const missing = names.filter((name, index) => !here[index] && !name.startsWith('sha256:'));
  if (missing.length > 0) await roomForImages(await Promise.all(missing.map(findRemote)));
  await pullBoth(images);
}
