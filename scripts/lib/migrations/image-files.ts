/** The migrations in an image. It may hold anything: nothing of it is run, unpacked or followed to a file of this host. */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import type { Config } from '../config/config.ts';
import { messageOf, OperationalError } from '../core/errors.ts';
import { bytes } from '../core/format.ts';
import { pipeline } from '../core/pipeline.ts';
import { CommandError, run, sh } from '../core/shell.ts';
import { shortName } from '../docker/images.ts';
import { type TarEntry, tarEntries } from '../docker/tar.ts';

/** Bytes of a `migration.sql`. */
const FILE_LIMIT = 8 * 1024 * 1024;
/** Bytes of the whole directory. */
const LIMIT = 64 * 1024 * 1024;
const FILE = 'migration.sql';
/** Prisma writes digits, `_` and words; the column of its table takes 255 characters. */
const NAME = /^\w[\w.-]{0,254}$/;

const KINDS: Record<string, string> = {
  1: 'a hard link',
  2: 'a symbolic link',
  3: 'a device',
  4: 'a device',
  6: 'a named pipe',
};

/**
 * Reads the migrations of an image out of a container that is never started.
 *
 * @returns the SQL of each by its name, in the order of Prisma; undefined if the image has no directory of migrations
 * @throws CommandError when Docker can't read the image; OperationalError when the directory has anything but files and
 *   directories, a name that is no migration's, or a file that is not text of at most {@link FILE_LIMIT} bytes
 */
export async function migrationFiles(
  config: Config,
  image: string,
): Promise<Map<string, string> | undefined> {
  const inspect = sh(`inspect ${image}`);
  const workdir = (await inspect`docker image inspect --format ${'{{.Config.WorkingDir}}'} ${image}`) || '/';
  const purpose = `read the migrations of ${image}`;
  const id = await sh(purpose)`docker create --network none ${image}`;
  try {
    const directory = posix.resolve(workdir, config.deploy.migrationsDir);
    const archive = await copyOut(`${id}:${directory}/.`, purpose);
    return archive && new Map(sqlOf(archive, posix.basename(directory)));
  } catch (error) {
    if (!(error instanceof Unfit)) throw error;
    throw new OperationalError(
      `the migrations of ${shortName(image)}: ${error.message}`,
      `correct the directory ${config.deploy.migrationsDir} of the image, and build it again.`,
    );
  } finally {
    await sh(purpose, { evenInterrupted: true })`docker rm --force ${id}`;
  }
}

class Unfit extends Error {}
const tooLarge = () => new Unfit(`its directory is larger than ${bytes(LIMIT)}`);

/** @returns the archive; undefined where there is no such directory */
async function copyOut(source: string, purpose: string): Promise<Buffer | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'migrations-'));
  const file = join(directory, 'archive');
  const descriptor = openSync(file, 'wx', 0o600);
  try {
    const stages = [
      ['docker', 'cp', '--quiet', source, '-'],
      ['head', '-c', `${LIMIT + 1}`],
    ];
    await run(pipeline(...stages), { purpose, stdout: descriptor });
    if (fstatSync(descriptor).size <= LIMIT) return readFileSync(file);
    throw tooLarge();
  } catch (error) {
    if (fstatSync(descriptor).size > LIMIT) throw tooLarge(); // and its writer was ended
    const missing = /could not find the file|no such file/i;
    if (error instanceof CommandError && missing.test(error.stderr)) return undefined;
    throw error;
  } finally {
    closeSync(descriptor);
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * @param base the directory's name, which may be the archive's root
 * @returns the SQL of each migration by its name, in their order
 * @throws Error that says what of it is refused, and where
 */
export function sqlOf(archive: Buffer, base: string): [name: string, sql: string][] {
  const found = new Map<string, string | undefined>();
  for (const { name, type, data } of entriesOf(archive)) {
    const path = name.replace(/^\.\/|\/$/g, '').replace(new RegExp(`^${RegExp.escape(base)}(/|$)`), '');
    if (path === '' || path === '.') continue;
    const shown = NAME.test(path.replaceAll('/', '_')) ? path : JSON.stringify(path);
    const parts = path.split('/');
    if (parts.some(part => part === '' || part === '..'))
      throw new Unfit(`${shown} leads out of its directory`);
    const isDirectory = type === '5';
    if (!isDirectory && type !== '0') throw new Unfit(`${shown} is ${KINDS[type] ?? 'of an unknown kind'}`);
    if (parts.length === 1 && !isDirectory) continue; // such as migration_lock.toml
    const [migration, file] = parts as [string, ...string[]];
    if (!NAME.test(migration)) throw new Unfit(`${JSON.stringify(migration)} is no name of a migration`);
    if (!found.has(migration)) found.set(migration, undefined);
    if (parts.length !== 2 || file !== FILE) continue;
    if (isDirectory) throw new Unfit(`${shown} is a directory`);
    if (found.get(migration) !== undefined) throw new Unfit(`${shown} is there twice`);
    found.set(migration, textOf(data, shown));
  }
  return [...found]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, sql]) => {
      if (sql === undefined) throw new Unfit(`${name} has no ${FILE}`);
      return [name, sql];
    });
}

function entriesOf(archive: Buffer): TarEntry[] {
  try {
    return [...tarEntries(archive)];
  } catch (error) {
    throw new Unfit(`its archive ${messageOf(error)}`);
  }
}

function textOf(data: Buffer, name: string): string {
  if (data.length > FILE_LIMIT) throw new Unfit(`${name} is larger than ${bytes(FILE_LIMIT)}`);
  if (data.includes(0)) throw new Unfit(`${name} has a NUL byte`); // at which the parser would stop reading
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    throw new Unfit(`${name} is not UTF-8`);
  }
}
