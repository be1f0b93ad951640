/**
 * The manifests of a store: read side by side, and kept in `<stateDir>/<environment>.store-manifests.jsonl`, so that
 * only new and changed ones are read. Their text is kept, not what was concluded from it: each run checks it again, with
 * its signature, so the file is trusted no more than the store is.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Config } from '../config/config.ts';
import { messageOf } from '../core/errors.ts';
import { writeWhole } from '../core/files.ts';
import { parseLines } from '../core/json-lines.ts';
import { log } from '../core/log.ts';
import { forEachAtOnce } from '../core/pool.ts';
import type { Store } from '../s3/open-store.ts';
import { readText, type StoredObject } from '../s3/store.ts';

/** Requests at the same time: fewer than the client has connections. */
const AT_ONCE = 16;

const entrySchema = v.object({
  /** Of the store: endpoint, bucket and prefix. */
  place: v.string(),
  name: v.string(),
  etag: v.string(),
  bytes: v.number(),
  text: v.string(),
});
type Entry = v.InferOutput<typeof entrySchema>;

const fileOf = ({ stateDir, environment }: Config) => join(stateDir, `${environment}.store-manifests.jsonl`);
const placeOf = ({ settings: { endpoint = '', bucket, prefix } }: Store) =>
  JSON.stringify([endpoint, bucket, prefix]);

/**
 * @param manifests the objects to read, as the store lists them
 * @param remember keeps them for the next run: only under the lock, as looking writes nothing
 * @returns the text of each by its name; nothing for one that no longer exists
 * @throws exit code 4 when one can't be read
 */
export async function readManifests(
  config: Config,
  store: Store,
  manifests: StoredObject[],
  remember: boolean,
): Promise<Map<string, string>> {
  const place = placeOf(store);
  const known = await readKept(config, place);
  const entries = new Map<string, Entry>();
  let isChanged = known.size !== manifests.length;
  const texts = new Map<string, string>();
  await forEachAtOnce(manifests, AT_ONCE, async ({ name, bytes, etag }) => {
    const kept = known.get(name);
    const isSame = kept !== undefined && kept.etag === etag && kept.bytes === bytes;
    const text = isSame ? kept.text : await readText(store, name);
    if (text === undefined) return;
    texts.set(name, text);
    if (etag) entries.set(name, { place, name, etag, bytes, text });
    if (!isSame) isChanged = true;
  });
  if (remember && isChanged) await keep(config, [...entries.values()]);
  return texts;
}

async function readKept(config: Config, place: string): Promise<Map<string, Entry>> {
  const path = fileOf(config);
  const kept = new Map<string, Entry>();
  if (!existsSync(path)) return kept;
  const text = await readFile(path, 'utf8').catch(error => {
    log.info(`${path} can't be read, so the store is asked for each manifest: ${messageOf(error)}`);
    return '';
  });
  const entries = parseLines(text, entrySchema, line =>
    log.info(`line ${line} of ${path} is damaged and is ignored`),
  );
  for (const entry of entries) if (entry.place === place) kept.set(entry.name, entry);
  return kept;
}

/** A failure is a warning: the next run asks the store again. */
async function keep(config: Config, entries: Entry[]): Promise<void> {
  const lines = entries.map(entry => JSON.stringify(entry) + '\n');
  try {
    await mkdir(config.stateDir, { recursive: true, mode: 0o700 });
    await writeWhole(fileOf(config), lines.join(''));
  } catch (error) {
    log.warn(`what was read from the store is not kept: ${messageOf(error)}`);
  }
}
