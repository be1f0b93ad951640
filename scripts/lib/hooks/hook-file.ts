/** Whether a file can be run as a hook, and whether only those can change it who can change these scripts anyway. */
import {
  accessSync,
  closeSync,
  constants,
  lstatSync,
  openSync,
  readlinkSync,
  readSync,
  type Stats,
} from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../config/config.ts';
import { word } from '../core/command-line.ts';
import { messageOf } from '../core/errors.ts';

export interface Problem {
  what: string;
  /** What to do about it. */
  hint: string;
}

/** Symbolic links that are followed, as the kernel does: https://man7.org/linux/man-pages/man7/path_resolution.7.html */
const MOST_LINKS = 40;

/** @returns why a file is not run as a hook; undefined: it can be; `missing`: there is none */
export function problemOf(path: string): Problem | 'missing' | undefined {
  let places: Place[];
  try {
    if (!lstatSync(path, { throwIfNoEntry: false })) return 'missing';
    places = placesTo(path);
  } catch (error) {
    const hint = `correct the link or its directory, or remove it: rm ${word(path)}`;
    return { what: `can't be read: ${messageOf(error)}`, hint };
  }
  const { stats, path: file } = places.at(-1)!;
  if (!stats.isFile())
    return { what: 'is not a file', hint: `put an executable file there, or move it away.` };
  return changedByOthers(places) ?? notExecutable(path) ?? wrongStart(path, file);
}

interface Place {
  path: string;
  stats: Stats;
}

/**
 * @returns everything that leads to a file, from `/` to the file itself, each directory and link of each symbolic link
 *   included
 * @throws an error of the file system where something is missing
 */
function placesTo(path: string): Place[] {
  const places: Place[] = [{ path: '/', stats: lstatSync('/') }];
  const rest = path.split('/');
  let at = '/';
  let links = 0;
  while (rest.length > 0) {
    const name = rest.shift()!;
    if (name === '' || name === '.') continue;
    if (name === '..') {
      at = join(at, '..');
      continue;
    }
    const next = join(at, name);
    const stats = lstatSync(next);
    places.push({ path: next, stats });
    if (!stats.isSymbolicLink()) at = next;
    else {
      if (++links > MOST_LINKS) throw new Error(`too many symbolic links in ${path}`);
      const to = readlinkSync(next);
      if (to.startsWith('/')) at = '/';
      rest.unshift(...to.split('/'));
    }
  }
  // What a link leads to comes last.
  return at === places.at(-1)!.path ? places : [...places, { path: at, stats: lstatSync(at) }];
}

/**
 * A hook runs as this user. Whoever can write it, or put another in its place, could do all that this user can.
 * Root, this user and the owner of the scripts can do so anyway, and so can root's group and this user's own, which is what
 * a umask of 002 gives to files.
 */
function changedByOthers(places: Place[]): Problem | undefined {
  const trusted = new Set([0, process.geteuid!(), lstatSync(ROOT).uid]);
  for (const { path, stats } of places) {
    const { mode, uid, gid } = stats;
    if (!trusted.has(uid))
      return {
        what: `runs as this user, and another one (uid ${uid}) owns ${path}`,
        hint: `read it, then: sudo chown ${process.geteuid!()} ${word(path)}`,
      };
    // In a sticky directory, such as /tmp, only the owner of a file can replace it.
    if (stats.isSymbolicLink() || (stats.isDirectory() && mode & 0o1000)) continue;
    const others = mode & 0o002 || (mode & 0o020 && gid !== 0 && gid !== process.getegid!());
    if (others)
      return {
        what: `runs as this user, and others can write ${path}`,
        hint: `read it, then: chmod go-w ${word(path)}`,
      };
  }
  return undefined;
}

function notExecutable(path: string): Problem | undefined {
  try {
    accessSync(path, constants.X_OK);
    return undefined;
  } catch {
    return { what: 'is not executable', hint: `make it: chmod 755 ${word(path)}` };
  }
}

/** A shell runs a file without such a start as a script of its own, whatever language it is in. */
function wrongStart(path: string, file: string): Problem | undefined {
  const start = Buffer.alloc(256);
  let text: string;
  try {
    const descriptor = openSync(file, 'r');
    try {
      text = start.toString('latin1', 0, readSync(descriptor, start));
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return undefined; // a program that can be run, but not read
  }
  if (text.startsWith('\x7fELF')) return undefined;
  if (!text.startsWith('#!'))
    return { what: 'does not begin with #!', hint: 'make its first line #!/bin/sh, or another program.' };
  return /^[^\n]*\r\n/.test(text)
    ? {
        what: 'has the line endings of Windows, so its first line names no program',
        hint: `correct it: sed -i 's/\\r$//' ${word(path)}`,
      }
    : undefined;
}
