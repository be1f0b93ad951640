import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { programsIn } from './programs.ts';

/** Every program that is started by its name, with its arguments, however short it lives. */
export interface Recorder {
  /** With this PATH. */
  path: string;
  /** The name and the arguments of each start so far. */
  starts: () => string[][];
}

/** Puts a program of the same name before each one on `path` that notes how it is called and becomes the real one. */
export function recordPrograms(directory: string, path: string): Recorder {
  const programs = join(directory, 'recorded');
  const record = join(directory, 'record');
  mkdirSync(programs, { recursive: true });
  writeFileSync(record, '');
  const recorder = join(directory, 'recorder');
  const places = path.split(delimiter);
  writeFileSync(
    recorder,
    `#!/bin/sh
name=\${0##*/}
{ printf '%s\\0' "$name" "$@"; printf '\\1'; } >>'${record}'
for place in ${places.map(place => `'${place}'`).join(' ')}; do
  [ ! -x "$place/$name" ] || exec "$place/$name" "$@"
done
exit 127
`,
    { mode: 0o755 },
  );
  const names = new Set(places.flatMap(programsIn));
  for (const name of names) symlinkSync(recorder, join(programs, name));
  return {
    path: `${programs}${delimiter}${path}`,
    starts: () =>
      readFileSync(record, 'utf8')
        .split('\x01')
        .slice(0, -1)
        .map(start => start.split('\0').slice(0, -1)),
  };
}
