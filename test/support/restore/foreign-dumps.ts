/** Dumps of any origin, and what converts them. */
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { checkHere, refused, restoreHere } from '../core/in-process.ts';
import type { World } from '../core/world.ts';
import { program } from '../postgres/compare.ts';

type Form = [what: string, name: string, make: string, says: RegExp];

/** Names, and what writes them to $0: a name says little about what is in a file. */
export const FORMS: Form[] = [
  ['custom', 'shop.dump', 'pg_dump -Fc app > "$0"', /custom format without compression/],
  [
    'custom in gzip, named as a plain one',
    'shop.sql.gz',
    'pg_dump -Fc app | gzip > "$0"',
    /custom .* with gzip/,
  ],
  [
    'custom without gzip, named as a plain one',
    'old.sql.gz',
    'pg_dump -Fc app > "$0"',
    /custom format without/,
  ],
  ['custom in zstd', 'shop.backup', 'pg_dump -Fc -Z0 app | zstd > "$0"', /custom .* with zstd/],
  ['tar', 'shop.tar', 'pg_dump -Ft app > "$0"', /tar format without compression/],
  ['tar in gzip', "the shop's.tar.gz", 'pg_dump -Ft app | gzip > "$0"', /tar format compressed with gzip/],
  ['directory', 'shop', 'pg_dump -Fd app -f "$0"', /directory format/],
  ['plain', 'shop.sql', 'pg_dump app > "$0"', /plain dump without compression/],
  ['plain, named as one in gzip', 'raw.sql.gz', 'pg_dump app > "$0"', /plain dump without compression/],
  [
    'plain in gzip, with another name',
    'dump of shop.gz',
    'pg_dump app | gzip > "$0"',
    /plain dump compressed with gzip/,
  ],
  ['plain in zstd', 'shop.sql.zst', 'pg_dump app | zstd > "$0"', /plain dump compressed with zstd/],
];

/** The command that converts a dump makes one that restores. */
export async function assertConverts(world: World, forms: Form[]): Promise<void> {
  await world.sql(
    "CREATE TABLE shops AS SELECT i AS id, 'Café ' || i AS name FROM generate_series(1, 9) AS i",
  );
  const before = await world.rows('SELECT * FROM shops ORDER BY id');
  let last = '';
  for (const [index, [what, name, make, says]] of forms.entries()) {
    const directory = join(world.directory, `form ${index}`);
    const path = join(directory, name);
    await program(world, 'bash', '-o', 'pipefail', '-c', `mkdir "$(dirname "$0")" && ${make}`, path);
    const text = await refused(() => checkHere(world, path), 2, says, /convert it/).catch(error => {
      error.message = `${what}: ${error.message}`;
      throw error;
    });
    await program(
      world,
      'bash',
      '-o',
      'pipefail',
      '-c',
      /convert it, and restore the result: (.*)$/m.exec(text)![1]!,
    );
    last = /> '?(.*?\.sql\.gz)'?$/m.exec(text)![1]!.replaceAll("'\\''", "'");
    await checkHere(world, last);
    const rows = (await program(world, 'bash', '-c', 'gzip -dc "$0" | grep -c Café', last)).trim();
    assert.is(rows, '9', what);
  }
  await world.sql('UPDATE shops SET name = NULL');
  await restoreHere(world, last);
  assert.equal(await world.rows('SELECT * FROM shops ORDER BY id'), before);
}
