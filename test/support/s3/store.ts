import { existsSync, globSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { World } from '../core/world.ts';

const OBJECT = '._S3rver_object';

/** The keys of all objects in the store, in order. */
export function keys({ s3 }: Pick<World, 's3'>): string[] {
  const names = globSync(`**/*${OBJECT}`, { cwd: join(s3.directory, s3.bucket) });
  return names.map(name => name.slice(0, -OBJECT.length)).sort();
}

/** Where an object lies as a file. */
export function fileOf({ s3 }: Pick<World, 's3'>, key: string): string {
  return join(s3.directory, s3.bucket, key + OBJECT);
}

const uploads = ({ s3 }: Pick<World, 's3'>) => join(s3.directory, s3.bucket, '._S3rver_uploads');

/** Does what AbortMultipartUpload does, which this server lacks: removes the parts. */
export function abortUpload(world: Pick<World, 's3'>, uploadId: string): void {
  rmSync(join(uploads(world), uploadId), { recursive: true });
}

/** How many parts of unfinished uploads the store has whole. */
export function storedParts(world: World): number {
  return globSync('*/*.md5', { cwd: uploads(world) }).length;
}

/** How many multipart uploads are neither completed nor aborted. Their parts cost money and are in no list. */
export function unfinishedUploads(world: World): number {
  return existsSync(uploads(world)) ? readdirSync(uploads(world)).length : 0;
}
