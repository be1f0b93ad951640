/** A `docker` that has one image, with these files as its migrations, and no engine. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const DOCKER = `#!/bin/bash
here=$(dirname "$0")
printf '%s\\n' "$*" >> "$here/calls"
case "$1 $2" in
  'image inspect') echo /app;;
  'create --network') echo 0123abcd;;
  cp\\ *)
    [ -e "$here/image.tar" ] || { echo 'Error response from daemon: Could not find the file /app in container 0123abcd' >&2; exit 1; }
    [ "\${!#}" = - ] && exec cat "$here/image.tar"
    exec tar -xf "$here/image.tar" -C "\${!#}";;
  rm\\ *) ;;
  *) exit 64;;
esac
`;

/** Puts the stub into a directory, for PATH. @returns its calls so far, one a line */
export function installStub(directory: string): () => string[] {
  writeFileSync(join(directory, 'docker'), DOCKER, { mode: 0o755 });
  return () => readFileSync(join(directory, 'calls'), 'utf8').trim().split('\n');
}

/** Packs a directory as `docker cp CONTAINER:DIRECTORY/. -` does, with its root. */
export function packDirectory(stub: string, directory: string): void {
  execFileSync('tar', ['--format=pax', '-cf', join(stub, 'image.tar'), '-C', directory, '.']);
}

/** Writes files below a directory. */
export function writeFiles(directory: string, files: Record<string, string | Buffer>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content);
  }
}

/** One entry of an archive, with any name and type, also those that tar would not write. */
export function entryOf(name: string, type: string, content: Buffer | string = ''): Buffer {
  const data = Buffer.from(content);
  const header = Buffer.alloc(512);
  header.write(name, 0, 100);
  header.write('0000644\0', 100);
  header.write(`${data.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('        ', 148);
  header.write(type, 156);
  header.write('/etc/shadow', 157);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, data, Buffer.alloc(-data.length & 511)]);
}
