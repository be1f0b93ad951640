import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, type Images, ROOT } from '../config/config.ts';
import { setVariable } from '../config/env-file.ts';
import { writeWhole } from '../core/files.ts';

/** Writes the images into .env.<environment>, which Compose and the other scripts read, and leaves the rest as it is. */
export async function pinImages({ environment }: Pick<Config, 'environment'>, images: Images): Promise<void> {
  // An image's id, which stands for a tag that has moved, does not say from which repository the next one comes.
  if (images.backend.startsWith('sha256:') || images.frontend.startsWith('sha256:')) return;
  const path = join(ROOT, `.env.${environment}`);
  const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const backend = setVariable(before, 'BACKEND_IMAGE', images.backend);
  const text = setVariable(backend, 'FRONTEND_IMAGE', images.frontend);
  if (text !== before) await writeWhole(path, text);
}
