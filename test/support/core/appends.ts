/**
 * A process that appends numbered lines to a file which it and others rotate, and prints the number of each that is written.
 * Arguments: path, its name, lines, limit.
 */

import { appendLine } from '../../../scripts/lib/core/json-lines.ts';
import { rotateLarge } from '../../../scripts/lib/core/rotate.ts';

const [path, name, lines, limit] = process.argv.slice(2) as [string, string, string, string];
for (let at = 0; at < Number(lines); at++) {
  const told = rotateLarge(path, { limit: Number(limit), older: 1000 });
  if (told) throw new Error(told);
  appendLine(path, `${name} ${at}`);
  process.stdout.write(`${at}\n`);
}
