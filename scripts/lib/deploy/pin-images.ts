import { existsSync, readFileSync } from 'node:fs';
import type { Config, Images } from '../config/config.ts';
import { setVariable } from '../config/env-file.ts';
import { writeWhole } from '../core/files.ts';

/** Writes the images into .env.<environment>, which Compose and the other scripts read, and leaves the rest as it is. */
export async function pinImages({ envFile }: Pick<Config, 'envFile'>, images: Images): Promise<void> {
  // An image's id, which stands for a tag that has moved, does not say from which repository the next one comes.
  if (images.backend.startsWith('sha256:') || images.frontend.startsWith('sha256:')) return;
  const before = existsSync(envFile) ? readFileSync(envFile, 'utf8') : '';
  const backend = setVariable(before, 'BACKEND_IMAGE', images.backend);
  const text = setVariable(backend, 'FRONTEND_IMAGE', images.frontend);
  if (text !== before) await writeWhole(envFile, text);
}
