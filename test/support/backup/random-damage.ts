/** Damage of every kind to each file of a backup, at places that a seed decides. */
import { appendFileSync, cpSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import type { Format } from '../../../scripts/lib/backup/manifest.ts';
import type { Random } from '../core/random.ts';
import { type Case, type Copy, copyOf, EVERY_WAY, zeroIn } from './damage.ts';

const FILES = ['artifact', 'globals', 'manifest'] as const;
type File = (typeof FILES)[number];

interface Amounts {
  cuts: number;
  flips: number;
  blocks: number;
}

/** How one file is spoilt, and what it is called. */
type Damage = [what: string, spoil: (path: string) => void];

function change(path: string, how: (content: Buffer) => void): void {
  const content = readFileSync(path);
  how(content);
  writeFileSync(path, content);
}

/** At random places, and at the first and last ones. A manifest's last byte is a line break that nobody needs. */
function inPlace(file: File, { below }: Random, { cuts, flips, blocks }: Amounts): Damage[] {
  const places = (amount: number) => Array.from({ length: amount }, () => below(1_000_000) / 1_000_000);
  const last = file === 'manifest' ? 2 : 1;
  return [
    ...['0', '1', `all but ${last}`].map((bytes): Damage => {
      const left = (size: number) => (bytes.startsWith('all') ? size - last : Number(bytes));
      return [`cut to ${bytes} bytes`, path => truncateSync(path, left(readFileSync(path).length))];
    }),
    ...places(cuts).map((place): Damage => {
      const cut = (path: string) =>
        truncateSync(path, Math.floor((readFileSync(path).length - last) * place));
      return [`cut at ${place}`, cut];
    }),
    ...places(flips).map((place): Damage => {
      const bit = below(8);
      const flip = (content: Buffer) => {
        content[Math.floor((content.length - last + 1) * place)]! ^= 1 << bit;
      };
      return [`bit ${bit} flipped at ${place}`, path => change(path, flip)];
    }),
    ...places(blocks).map((place): Damage => {
      return [`a block of zeros at ${place}`, path => zeroIn(path, place)];
    }),
  ];
}

const APPENDED: [what: string, bytes: (content: Buffer) => Buffer][] = [
  ['a zero', () => Buffer.alloc(1)],
  ['a block of zeros', () => Buffer.alloc(4096)],
  ['a letter', () => Buffer.from('x')],
  ['itself', content => content],
  ['another gzip member', () => gzipSync('DROP TABLE t;\n')],
];

const appended: Damage[] = APPENDED.map(([what, bytes]) => [
  `${what} appended`,
  path => appendFileSync(path, bytes(readFileSync(path))),
]);

/** One file in place of another, of the same backup or of another one. */
function swapped(file: File, format: Format, others: Copy[]): Case[] {
  const own = FILES.filter(each => each !== file).map(
    (each): Case => ({
      what: `its ${each} in place of the ${file}`,
      spoil: copy => cpSync(copy[each], copy[file]),
    }),
  );
  const foreign = others.flatMap((other, index) =>
    FILES.map(
      (each): Case => ({
        what: `${each} of other backup ${index} in place of the ${file}`,
        spoil: copy => cpSync(other[each], copy[file]),
      }),
    ),
  );
  const all = others.map(
    (other, index): Case => ({
      what: `everything but the ${file} of other backup ${index}`,
      spoil: copy => {
        for (const each of FILES.filter(name => name !== file)) cpSync(other[each], copy[each]);
      },
    }),
  );
  return [...own, ...foreign, ...all].map(each => ({ ...each, what: `${format}: ${each.what}` }));
}

/**
 * @param others backups whose files are put in place of this one's
 * @returns damage to a backup of this format; each is looked for in one of the ways to name a backup, in turn
 */
export function manyDamages(format: Format, random: Random, amounts: Amounts, others: Copy[]): Case[] {
  const cases = FILES.flatMap(file => [
    ...[...inPlace(file, random, amounts), ...appended].map(
      ([what, spoil]): Case => ({ what: `${format}: ${file} ${what}`, spoil: copy => spoil(copy[file]) }),
    ),
    ...swapped(file, format, others),
  ]);
  return cases.map((each, index) => ({ ...each, ways: [EVERY_WAY[index % EVERY_WAY.length]!] }));
}

/** Copies of the sound backup of the other format, whose files have the names of that format. */
export const otherOf = (format: Format): Copy => copyOf(format === 'plain' ? 'custom' : 'plain');
