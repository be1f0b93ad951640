import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import * as v from 'valibot';

/**
 * Reads a file with a JSON value in each line. A killed process or a full disk can leave a line that is damaged.
 *
 * @param damaged is called with the number of such a line, from 1, which is ignored
 * @returns the values of the others
 */
export function parseLines<T>(
  text: string,
  schema: v.GenericSchema<unknown, T>,
  damaged: (line: number) => void,
): T[] {
  const lineSchema = v.pipe(v.string(), v.parseJson(), schema);
  return text.split('\n').flatMap((line, index) => {
    if (line === '') return [];
    const parsed = v.safeParse(lineSchema, line);
    if (parsed.success) return [parsed.output];
    damaged(index + 1);
    return [];
  });
}

/**
 * Appends a line to a file. After a torn line, as a killed process or a full disk leaves it, it begins a line of its own.
 *
 * @throws an error of the file system
 */
export function appendLine(path: string, line: string): void {
  const file = openSync(path, 'a+', 0o600);
  try {
    const { size } = fstatSync(file);
    const last = Buffer.alloc(1);
    const isTorn = size > 0 && readSync(file, last, 0, 1, size - 1) === 1 && last.toString() !== '\n';
    writeSync(file, `${isTorn ? '\n' : ''}${line}\n`);
  } finally {
    closeSync(file);
  }
}
