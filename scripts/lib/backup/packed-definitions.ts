import { gunzipSync, gzipSync } from 'node:zlib';
import type { Definitions } from '../postgres/definitions.ts';

/*
 * Tens of thousands of names in each manifest would make lists of backups slow: as one compressed text they take an
 * eighth of the room and are read only when a database is compared.
 */

/** @returns definitions as gzip of JSON in Base64; `base64 -d | gunzip` shows them */
export function packDefinitions(definitions: Definitions): string {
  return gzipSync(JSON.stringify(definitions)).toString('base64');
}

/** @returns the definitions that {@link packDefinitions} packed. @throws when they are damaged */
export function unpackDefinitions(packed: string): Definitions {
  return JSON.parse(gunzipSync(Buffer.from(packed, 'base64')).toString()) as Definitions;
}
