import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, type Images, ROOT } from '../config/config.ts';
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

/** @returns the text of an env file in which the last line that sets the variable now sets it to this value */
export function setVariable(text: string, name: string, value: string): string {
  const line = new RegExp(`^(\\s*(?:export\\s+)?${name}\\s*=)(.*)$`, 'gm');
  const last = [...text.matchAll(line)].at(-1);
  if (!last) return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${name}=${value}\n`;
  if (last[2]!.trim().replace(/^(['"])(.*)\1$/, '$2') === value) return text;
  return text.slice(0, last.index) + last[1] + value + text.slice(last.index + last[0].length);
}
