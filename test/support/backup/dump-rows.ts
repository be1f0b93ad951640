import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** @returns how many rows a plain dump has of each table, by its name without the schema: no restore is needed to know */
export function rowsOfDump(path: string): Record<string, number> {
  const dump = gunzipSync(readFileSync(path)).toString();
  const copies = dump.matchAll(/^COPY \w+\.(\w+) \(.*\) FROM stdin;\n([\s\S]*?)^\\\.$/gm);
  return Object.fromEntries([...copies].map(([, name, text]) => [name, text!.split('\n').length - 1]));
}
