/** Backups that are spoilt in ways, and the check that refuses them. A module of a server: for one file of tests at a time. */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import * as assert from 'uvu/assert';
import { type Format, type Manifest, manifestName } from '../../../scripts/lib/backup/manifest.ts';
import { checkHere, makeBackup, refused } from '../core/in-process.ts';
import { createWorld } from '../core/world.ts';
import { liveState } from '../postgres/live.ts';
import { fileOf } from '../s3/store.ts';

export const world = await createWorld();
await world.sql('CREATE TABLE t AS SELECT i, md5(i::text) AS text FROM generate_series(1, 1000) AS i');

/** A sound backup of each format; every case spoils a copy. */
export const sound: Record<Format, Manifest> = {
  plain: await makeBackup(world, { format: 'plain', upload: false }),
  custom: await makeBackup(world, { format: 'custom', upload: false }),
};
export const FORMATS = ['plain', 'custom'] as const;
let copies = 0;

export function copyOf(format: Format, backup = sound[format]) {
  const { id, artifact, globals } = backup;
  const directory = join(world.directory, `copy-${++copies}`);
  mkdirSync(directory);
  for (const name of [artifact.name, globals.name, manifestName(id)])
    cpSync(join(world.env.BACKUP_DIR!, name), join(directory, name));
  return {
    id,
    directory,
    artifact: join(directory, artifact.name),
    globals: join(directory, globals.name),
    manifest: join(directory, manifestName(id)),
  };
}

export type Copy = ReturnType<typeof copyOf>;

/** The ways to name a backup, each of which is looked up by code of its own. */
export const WAYS = {
  id: (copy: Copy) => copy.id,
  path: (copy: Copy) => copy.artifact,
  S3: (copy: Copy) => fromStore(copy),
};
export type Way = keyof typeof WAYS;
export const EVERY_WAY = Object.keys(WAYS) as Way[];

/** Puts a copy into the store, as it is. */
function fromStore(copy: Copy): string {
  const prefix = basename(copy.directory);
  mkdirSync(join(world.s3.directory, world.s3.bucket, prefix));
  for (const name of readdirSync(copy.directory))
    cpSync(join(copy.directory, name), fileOf(world, `${prefix}/${name}`));
  return `s3://${world.s3.bucket}/${prefix}/${basename(copy.artifact)}`;
}

/** The environment in which a copy is the only backup there is, here or in the store. */
export function only(copy: Copy, way: Way): Record<string, string> {
  if (way !== 'S3') return { BACKUP_DIR: copy.directory, S3_BUCKET: '' };
  const elsewhere = `${copy.directory}-elsewhere`;
  mkdirSync(elsewhere, { recursive: true });
  return { BACKUP_DIR: elsewhere };
}

type Attempt = (address: string, env: Record<string, string>) => Promise<unknown>;

export interface Case {
  what: string;
  spoil: (copy: Copy) => void;
  code?: number;
  says?: RegExp;
  /** Default: all. */
  ways?: Way[];
  /** What refuses it, in the place of {@link assertRefused}'s. */
  attempt?: Attempt;
  /** What is asked for; default: what the way names. */
  wanted?: (copy: Copy) => string;
}

const DAMAGED = /damaged|is cut|has changed|missing|no manifest|can't be read|bytes/;

/**
 * Checks all that `spoil` makes of copies, and asserts that each is refused for the right reason.
 * @param usual what refuses; default: the check that comes before all else
 */
export async function assertRefused(
  format: Format,
  cases: Case[],
  usual: Attempt = (address, env) => checkHere(world, address, env),
): Promise<void> {
  for (const { what, spoil, code = 3, says = DAMAGED, ways = EVERY_WAY, wanted, attempt = usual } of cases) {
    for (const way of ways) {
      const copy = copyOf(format);
      spoil(copy);
      const address = (wanted ?? WAYS[way])(copy);
      const env = only(copy, way);
      await refused(() => attempt(address, env), code, says).catch(error => {
        throw new Error(`${what}, by ${way}`, { cause: error });
      });
      rmSync(copy.directory, { recursive: true });
    }
  }
}

export const TENTHS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

export function cutAt(path: string, tenth: number): void {
  truncateSync(path, Math.floor((readFileSync(path).length * tenth) / 10));
}

/** Flips the lowest bit of the byte in the middle of one tenth. */
export function flipIn(path: string, tenth: number): void {
  const content = readFileSync(path);
  content[Math.floor((content.length * (tenth + 0.5)) / 10)]! ^= 1;
  writeFileSync(path, content);
}

/** Fills a block with zeros, as a disk does that lost it. */
export function zeroIn(path: string, place = 0.5, bytes = 512): void {
  const content = readFileSync(path);
  const at = Math.floor(content.length * place);
  writeFileSync(path, content.fill(0, at, Math.min(at + bytes, content.length)));
}

/** Cuts a file at each of these tenths, and flips a bit in each. */
export const everyTenth = (
  file: 'artifact' | 'manifest',
  tenths: number[],
  ways: Way[] = EVERY_WAY,
): Case[] =>
  tenths.flatMap(tenth => [
    { what: `cut at tenth ${tenth}`, spoil: copy => cutAt(copy[file], tenth), ways },
    { what: `bit flipped in tenth ${tenth}`, spoil: copy => flipIn(copy[file], tenth), ways },
  ]);

/** restore.ts as a process says what the check says, before anything is touched. */
export async function assertSaysTheSame(format: Format, way: Way): Promise<void> {
  const copy = copyOf(format);
  flipIn(copy.artifact, 5);
  const env = only(copy, way);
  const wanted = WAYS[way](copy);
  const text = await refused(() => checkHere(world, wanted, env), 3, /has changed/);
  const before = await liveState(world);
  const done = await world.run('restore', [wanted, '--yes'], env);
  assert.is(done.code, 3, done.stderr);
  assert.ok(done.stderr.endsWith(`error: ${text}\n`), done.stderr);
  assert.not.match(done.stderr, /from here on, things change/);
  assert.is(await liveState(world), before);
}
