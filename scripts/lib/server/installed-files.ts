/** Files of the folder `server/`, which has them at the paths that they have on a server. */
import { existsSync, lstatSync, readFileSync, statSync } from 'node:fs';
import { chmod, chown, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ROOT } from '../config/config.ts';
import { writeWhole } from '../core/files.ts';

/** Where the repository has what a server gets. */
export const SOURCE = join(ROOT, 'server');

/** @param path below `server/`, and on the server below / */
const modeOf = (path: string) => (statSync(join(SOURCE, path)).mode & 0o100 ? 0o755 : 0o644);

/** @returns what is wrong with each file on the server: content, owner or mode */
export function fileDifferences(paths: string[]): string[] {
  return paths.flatMap(path => {
    const target = join('/', path);
    const found = lstatSync(target, { throwIfNoEntry: false });
    if (!found) return [`${target} is missing`];
    if (!found.isFile()) return [`${target} is not a file`];
    if (!readFileSync(target).equals(readFileSync(join(SOURCE, path))))
      return [`${target} differs from server/${path}`];
    const mode = found.mode & 0o7777;
    const owned = found.uid === 0 && found.gid === 0;
    if (owned && mode === modeOf(path)) return [];
    return [
      `${target} has mode ${mode.toString(8)} and owner ${found.uid}:${found.gid}, not ${modeOf(path).toString(8)} and root`,
    ];
  });
}

/**
 * Writes those that differ, as root's.
 * @returns what it did
 * @throws the error of the operating system
 */
export async function installFiles(paths: string[]): Promise<string[]> {
  const done: string[] = [];
  for (const path of paths.filter(each => fileDifferences([each]).length > 0)) {
    const target = join('/', path);
    const existed = existsSync(target);
    const directory = dirname(target);
    if (!existsSync(directory)) {
      await mkdir(directory, { recursive: true });
      await chmod(directory, 0o755); // whatever the umask
    }
    await writeWhole(target, readFileSync(join(SOURCE, path)), modeOf(path));
    await chown(target, 0, 0);
    done.push(`${existed ? 'corrected' : 'wrote'} ${target}`);
  }
  return done;
}
