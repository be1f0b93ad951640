/** Replaces the backends one after the other, as a deployment does, so that they get the variables of the files. */
import type { Config, Images } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { runs } from '../deploy/instance.ts';
import { rollBackends } from '../deploy/rolling-update.ts';
import { composeUp, removeServices } from '../docker/compose.ts';
import { inspect } from '../docker/containers.ts';
import { holdImages, releaseImages } from '../docker/held-images.ts';
import { loadWritten, serviceOf } from '../nginx/upstreams.ts';
import { type Rotation, writeRotation } from './rotation-journal.ts';

const BACKUP = 'backup';

/**
 * @param rotation notes which containers are older than the files, before the first is replaced: a repeated run goes on
 * @throws OperationalError as {@link rollBackends}; the instances that serve have values that are valid
 */
export async function replaceBackends(config: Config, rotation: Rotation): Promise<void> {
  const images = imagesOf(config);
  if (!rotation.old) {
    rotation.old = await idsOf(config, rotation.servers.map(serviceOf));
    await writeRotation(config, rotation);
  }
  await loadWritten(config);
  await holdImages(config, [images.backend]);
  const { old } = rotation;
  const isCurrent = async (service: string) =>
    (await inspect(config, service))?.id !== old[service] && (await runs(config, service, images));
  await rollBackends(config, images, rotation.servers, undefined, isCurrent);
  await releaseImages(config);
}

async function idsOf(config: Config, services: string[]): Promise<Record<string, string>> {
  const found = await Promise.all(
    services.map(async name => [name, (await inspect(config, name))?.id] as const),
  );
  return Object.fromEntries(found.flatMap(([name, id]) => (id ? [[name, id]] : [])));
}

/**
 * Recreates the backup service, if there is one, so that it gets the variables of the file.
 * @param rotation notes the container, before it is removed: a repeated run starts another one
 * @throws CommandError
 */
export async function replaceBackupService(config: Config, rotation: Rotation): Promise<void> {
  if (!rotation.old) {
    rotation.old = await idsOf(config, [BACKUP]);
    await writeRotation(config, rotation);
  }
  const before = rotation.old[BACKUP];
  if (!before) return;
  if ((await inspect(config, BACKUP))?.id === before) await removeServices(config, BACKUP);
  await composeUp(config, BACKUP);
}

/** @throws OperationalError where the backends could not be replaced, or would become another release */
export async function refuseIrreplaceable(config: Config, servers: string[]): Promise<void> {
  const images = imagesOf(config);
  const services = servers.map(serviceOf);
  if (services.length < 2)
    throw new OperationalError(
      `${services.join()} is the only instance that serves`,
      'start another one first: ./scripts/scale.ts 2',
    );
  const good = await Promise.all(services.map(service => runs(config, service, images)));
  const other = services.filter((_, at) => !good[at]);
  if (other.length > 0)
    throw new OperationalError(
      `${other.join(', ')} does not run BACKEND_IMAGE of the env file, so its replacement would be another release`,
      'deploy first: ./scripts/deploy.ts TAG',
    );
}

function imagesOf({ images, envFile }: Config): Images {
  if (images) return images;
  throw new OperationalError('BACKEND_IMAGE and FRONTEND_IMAGE are not both set', `set both in ${envFile}.`);
}
