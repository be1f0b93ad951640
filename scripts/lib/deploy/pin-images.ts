import type { Config, Images } from '../config/config.ts';
import { writeVariables } from '../config/env-file.ts';

/**
 * Writes the images into .env.<environment>, which Compose and the other scripts read, and leaves the rest as it is.
 * @throws OperationalError where the file can't be written
 */
export async function pinImages(
  { envFile }: Pick<Config, 'envFile'>,
  { backend, frontend }: Images,
): Promise<void> {
  // An image's id, which stands for a tag that has moved, does not say from which repository the next one comes.
  if (backend.startsWith('sha256:') || frontend.startsWith('sha256:')) return;
  await writeVariables(envFile, { BACKEND_IMAGE: backend, FRONTEND_IMAGE: frontend });
}
