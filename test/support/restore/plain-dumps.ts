/** Plain dumps that were made or changed by hand. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type Manifest, manifestName, serialize } from '../../../scripts/lib/backup/manifest.ts';
import type { World } from '../core/world.ts';

/** Values, comments and functions with lines that psql would take for its commands outside of quotes. */
export const LOOKALIKES = `
  CREATE TABLE notes (id int PRIMARY KEY, text text);
  INSERT INTO notes SELECT i, e'first\\n' || text || e'\\nlast' FROM unnest(ARRAY[
    e'\\\\connect mydb', e' \\\\! id', e'\\\\restrict Key', e'\\\\unrestrict Key', e'\\\\.', e'\\\\i /etc/passwd',
    'COPY notes FROM stdin;', 'SET search_path = nowhere;', 'DROP DATABASE app;', '-- PostgreSQL database dump complete', e'\\\\unrestrict \`id\`'
  ]) WITH ORDINALITY AS t (text, i);
  INSERT INTO notes VALUES (0, e'\\\\connect mydb');
  COMMENT ON TABLE notes IS e'one\\n\\\\connect mydb\\n\\\\unrestrict Key\\n';
  CREATE FUNCTION f() RETURNS text LANGUAGE sql AS e'SELECT \\$a\\$\\n\\\\connect mydb\\n\\\\.\\n\\$a\\$';
`;

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

/** A plain dump without a manifest in the world's directory, as a restore has it before its check. */
export function fetchedDump({ directory }: World, path: string) {
  const artifact = path.slice(directory.length + 1);
  return { name: artifact, format: 'plain', manifest: null, directory, artifact, work: directory } as const;
}
