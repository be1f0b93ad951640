/** Reads the statements of a dump: what they need, and which of them POSTGRES_USER runs itself around a load. */
import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DECOMPRESS } from '../backup/dump-commands.ts';
import type { LocalSource } from '../backup/fetch.ts';
import type { Postgres } from '../config/config.ts';
import { pipeline, scriptStage } from '../core/pipeline.ts';
import { runFromFile } from '../postgres/redirect.ts';
import { partsOf } from '../postgres/sql-parts.ts';
import { collectNeeds, type Requirements } from './dump-needs.ts';
import { withList } from './load-commands.ts';
import type { Cut } from './plain-commands.ts';
import { gunzipped } from './plain-dump.ts';
import { entriesLeftOut, type Statements, sortStatements } from './sort-statements.ts';

/** What the statements of a dump say. */
export interface Scan extends Statements {
  requirements: Requirements;
  /** Where in a plain dump those stand that the load leaves out. Of a custom dump: nothing. */
  cuts: Cut[];
  /** The table of contents of a custom dump, in its order. */
  entries: Entry[];
}

interface Entry {
  number: string;
  /** What stands behind its numbers. */
  text: string;
}

/**
 * Reads a plain dump to its end, and of a custom dump its table of contents.
 * @throws CommandError
 */
export async function scanDump(postgres: Postgres, source: LocalSource): Promise<Scan> {
  const { directory, artifact, format, work } = source;
  const path = join(directory, artifact);
  if (format === 'plain') return scan(gunzipped(path));
  const schema = join(work, `.${basename(artifact)}.schema.sql`);
  const output = await open(schema, 'w', 0o600);
  try {
    const entries = await listEntries(postgres, path);
    const statements = numbersOf(entries, text => !ROWS.test(text));
    const options = { purpose: `read ${artifact}`, stdout: output.fd };
    await runFromFile(postgres, listStatements(statements), path, options);
    return { ...(await scan(createReadStream(schema, 'latin1'))), cuts: [], entries };
  } finally {
    await output.close();
    await rm(schema, { force: true });
  }
}

/**
 * @param scan of the source, if there is one
 * @returns what a checked source needs of the server: from its manifest, else from its statements
 * @throws CommandError
 */
export async function requirementsOf(
  postgres: Postgres,
  source: LocalSource,
  scan?: Scan,
): Promise<Requirements> {
  const { manifest } = source;
  if (manifest?.needs) return { ...manifest.needs, extensions: manifest.extensions.map(({ name }) => name) };
  return (scan ?? (await scanDump(postgres, source))).requirements;
}

/** pg_restore ends when it has read what it needs, and zstd with it. */
const READ = scriptStage('"$@" || [ $? = 141 ]', 'zstd', ...DECOMPRESS.custom);

/** Entries that hold rows, contents of large objects, or values of sequences. */
const ROWS = /^(?:TABLE DATA|BLOBS|SEQUENCE SET) /;

/* By entries: pg_dump 17 and later have large objects with their owners and privileges in the section of the data. */
const listStatements = (entries: string[]) => pipeline(READ, withList(['pg_restore', '--file=-'], entries));

async function listEntries(postgres: Postgres, path: string): Promise<Entry[]> {
  const list = pipeline(READ, ['pg_restore', '--list']);
  const text = await runFromFile(postgres, list, path, { purpose: `list the entries of ${path}` });
  return [...text.matchAll(/^(\d+); \d+ \d+ (.*)$/gm)].map(([, number, entry]) => ({
    number: number!,
    text: entry!,
  }));
}

const numbersOf = (entries: Entry[], isWanted: (text: string) => boolean) =>
  entries.filter(({ text }) => isWanted(text)).map(({ number }) => number);

/** @returns the numbers of the entries of a custom dump that a role without rights loads; undefined: all */
export function entriesToLoad(scan: Scan): string[] | undefined {
  const leftOut = entriesLeftOut(scan);
  if (leftOut.length === 0) return undefined;
  return numbersOf(scan.entries, text => !leftOut.some(start => text.startsWith(start)));
}

async function scan(chunks: AsyncIterable<string>): Promise<Scan> {
  const needs = collectNeeds();
  const sorted = sortStatements();
  let [start, line, segment] = [0, 1, 0];
  let isLineStart = true;
  let previous: (Cut & { text: string }) | undefined;
  for await (const { kind, text } of partsOf(chunks)) {
    if (text === '') continue;
    // Only whole lines are left out.
    if (previous) sorted.add(previous.text, /^\r?\n/.test(text) ? previous : undefined);
    previous = undefined;
    const lines = linesIn(text);
    if (kind === 'statement') {
      needs.add(text);
      previous = { text, start, end: start + text.length, line, lines: lines + 1, segment };
      if (!isLineStart) {
        sorted.add(text, undefined);
        previous = undefined;
      }
    } else if (text.endsWith('\n\\.\n') || text.endsWith('\n\\.\r\n')) segment++;
    start += text.length;
    line += lines;
    isLineStart = text.endsWith('\n');
  }
  if (previous) sorted.add(previous.text, previous);
  return { requirements: needs.all(), entries: [], ...sorted.all() };
}

function linesIn(text: string): number {
  let lines = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines++;
  return lines;
}
