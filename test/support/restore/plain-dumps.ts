/** Plain dumps that were made or changed by hand. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type Manifest, manifestName, serialize } from '../../../scripts/lib/backup/manifest.ts';
import type { World } from '../core/world.ts';

/** A compressed dump of these statements, with the last line of a dump. @returns its path */
export function writeDump(world: World, name: string, statements: string): string {
  const path = join(world.directory, name);
  writeFileSync(path, gzipSync(`${statements}\n--\n-- PostgreSQL database dump complete\n--\n`));
  return path;
}

/** What someone does who may write to the place of the backups: changes a plain one, and its manifest with it. */
export function forge(world: World, manifest: Manifest, change: (sql: string) => string): Manifest {
  const at = (name: string) => join(world.env.BACKUP_DIR!, name);
  const { name } = manifest.artifact;
  const content = gzipSync(change(gunzipSync(readFileSync(at(name))).toString()));
  writeFileSync(at(name), content);
  const sha256 = createHash('sha256').update(content).digest('hex');
  const forged = { ...manifest, artifact: { name, bytes: content.length, sha256 } };
  writeFileSync(at(manifestName(manifest.id)), serialize(forged));
  return forged;
}
