/** Dumps in forms that these scripts do not restore, and the command that converts each. */
import { existsSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Postgres } from '../config/config.ts';
import { word } from '../core/command-line.ts';
import { type OperationalError, usageError } from '../core/errors.ts';
import { sh } from '../core/shell.ts';

/** Programs that decompress, by the first bytes of their files, in hexadecimal. */
const COMPRESSORS: [magic: string, program: string][] = [
  ['1f8b', 'gzip'],
  ['28b52ffd', 'zstd'],
  ['fd377a585a00', 'xz'],
  ['425a68', 'bzip2'],
  ['04224d18', 'lz4'],
];

/** How many bytes show what a file is. */
const PEEK_BYTES = 1024;

/**
 * Looks at what a file or directory holds, whatever its name is.
 *
 * @returns an error with the command that makes a restorable dump of it (exit code 2); undefined for a plain dump in gzip with
 *   the right name, and for what is no dump
 */
export async function foreignDump(postgres: Postgres, path: string): Promise<OperationalError | undefined> {
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isDirectory()) {
    const isDump = ['toc.dat', 'toc.dat.gz'].some(name => existsSync(join(path, name)));
    return isDump ? conversion(path, 'a dump in directory format', fromDirectory(postgres, path)) : undefined;
  }
  if (!stats?.isFile()) return undefined;
  const start = await startOf(path);
  const compressor = COMPRESSORS.find(([magic]) => start.toString('hex').startsWith(magic))?.[1];
  const reader = compressor && `${compressor} -dc`;
  const content = compressor ? await decompressedStart(path, compressor) : start;
  const form = formOf(content);
  if (form === undefined) return undefined;
  const what = `${form} ${compressor ? `compressed with ${compressor}` : 'without compression'}`;
  if (form !== 'a plain dump') {
    const read = reader ? `${reader} < ${word(path)} | ` : '';
    return conversion(path, what, `${read}${pgRestore(postgres)}${reader ? '' : ` < ${word(path)}`} | gzip`);
  }
  if (compressor === 'gzip') {
    return path.endsWith('.sql.gz') ? undefined : conversion(path, what, `cat ${word(path)}`);
  }
  return conversion(path, what, `${reader ? `${reader} < ${word(path)} | gzip` : `gzip < ${word(path)}`}`);
}

function conversion(path: string, what: string, command: string): OperationalError {
  const base = path.replace(/(\.(gz|zst|xz|bz2|lz4|sql|dump|tar|backup))+$/, '');
  const target = [`${base}.sql.gz`, `${path}.sql.gz`].find(name => name !== path && !existsSync(name));
  return usageError(
    `${path} is ${what}: only a plain dump in gzip is restored without a manifest`,
    `convert it, and restore the result: ${command} > ${word(target ?? `${path}.converted.sql.gz`)}`,
  );
}

function formOf(start: Buffer): string | undefined {
  const text = start.toString('latin1');
  if (text.startsWith('PGDMP')) return 'a dump in custom format';
  if (text.startsWith('toc.dat\0')) return 'a dump in tar format';
  return /^-- PostgreSQL database (cluster )?dump\r?$/m.test(text) ? 'a plain dump' : undefined;
}

const pgRestore = ({ container }: Postgres) =>
  `${container ? `docker exec -i ${word(container)} ` : ''}pg_restore --file=-`;

function fromDirectory({ container }: Postgres, path: string): string {
  if (!container) return `pg_restore --file=- ${word(path)} | gzip`;
  const [name, copy] = [word(container), '/tmp/converted-dump'];
  return `docker cp ${word(path)} ${name}:${copy} && docker exec ${name} pg_restore --file=- ${copy} | gzip`;
}

async function startOf(path: string): Promise<Buffer> {
  await using file = await open(path, 'r');
  const { buffer, bytesRead } = await file.read(Buffer.alloc(PEEK_BYTES), 0, PEEK_BYTES, 0);
  return buffer.subarray(0, bytesRead);
}

/** @returns nothing where the program is not here or the file is damaged */
async function decompressedStart(path: string, program: string): Promise<Buffer> {
  const script = '"$0" -dc < "$1" 2> /dev/null | head -c "$2" | base64';
  const text = await sh(`look into ${path}`)`bash -c ${script} ${program} ${path} ${PEEK_BYTES}`;
  return Buffer.from(text, 'base64');
}
