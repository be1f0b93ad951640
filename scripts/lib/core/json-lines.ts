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
