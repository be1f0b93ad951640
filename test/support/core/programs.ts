import { mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Makes a directory with links to all programs of a PATH but some. @returns it, to be a PATH */
export function programsBut(directory: string, path: string, without: RegExp): string {
  mkdirSync(directory, { recursive: true });
  for (const place of path.split(delimiter).reverse()) {
    for (const name of programsIn(place)) {
      if (without.test(name)) continue;
      rmSync(join(directory, name), { force: true });
      symlinkSync(join(place, name), join(directory, name));
    }
  }
  return directory;
}

/** @returns the names in a directory of a PATH */
export function programsIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // PATH may name what is not there
  }
}
