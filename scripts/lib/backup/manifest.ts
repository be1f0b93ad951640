import { createHash } from 'node:crypto';
import * as v from 'valibot';
import type { Config, Environment } from '../config/config.ts';
import { ENVIRONMENTS } from '../config/config.ts';
import { messageOf, verificationError } from '../core/errors.ts';
import { isTime, stamp } from '../core/format.ts';
import { propertiesSchema } from '../postgres/database-properties.ts';
import { needsSchema } from '../postgres/needs.ts';

export type Format = 'plain' | 'custom';

const EXTENSION: Record<Format, string> = { plain: '.sql.gz', custom: '.dump.zst' };

const time = v.pipe(v.string(), v.check(isTime));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const file = v.object({
  name: v.pipe(v.string(), v.regex(/^[\w.-]+$/)),
  bytes: count,
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
});

const text = v.nullable(v.string());

/** Each field is documented in docs/PRODUCTION_INFRASTRUCTURE.md#the-manifest. */
const schema = v.object({
  version: v.literal(2),
  id: v.string(),
  app: v.string(),
  environment: v.picklist(ENVIRONMENTS),
  database: v.string(),
  label: v.nullable(v.string()),
  /** Made by a restore, of the database that it replaces. `latest` never means one. */
  safety: v.boolean(),
  /** Whether it is to have a copy in S3. Missing: not known. */
  offsite: v.optional(v.boolean()),
  startedAt: time,
  snapshotAt: time,
  finishedAt: time,
  format: v.picklist(['plain', 'custom']),
  artifact: file,
  globals: file,
  server: v.object({
    version: v.string(),
    encoding: v.string(),
    collate: v.string(),
    ctype: v.string(),
    provider: v.nullable(v.picklist(['libc', 'icu', 'builtin'])),
    locale: text,
    icuRules: text,
    collationVersion: v.optional(text),
    tablespace: v.optional(v.string()),
    template: v.optional(v.boolean()),
    allowConnections: v.optional(v.boolean()),
  }),
  properties: propertiesSchema,
  tools: v.object({ pgDump: v.string(), compressor: v.string() }),
  databaseBytes: count,
  /** Missing: unknown. */
  largestIndexBytes: v.optional(count),
  tables: v.array(v.object({ schema: v.string(), name: v.string(), rows: count })),
  largeObjects: count,
  extensions: v.array(v.object({ name: v.string(), version: v.string() })),
  migrationHead: v.nullable(v.string()),
  /** Missing: the dump holds no owners and no privileges. */
  needs: v.optional(needsSchema),
  verification: v.object({ level: v.literal('decoded'), at: time }),
  /** As packed by {@link packDefinitions}; null: not known. */
  definitions: text,
  /** What pg_dump warned of, and sequences that are behind their column, as sentences. */
  warnings: v.array(v.string()),
});

export type Manifest = v.InferOutput<typeof schema>;

const { definitions, warnings, ...older } = schema.entries;
const { encoding, collate, ctype } = schema.entries.server.entries;
const schema1 = v.object({
  ...older,
  version: v.literal(1),
  server: v.object({ version: v.string(), encoding, collate, ctype, icuLocale: text }),
});

/** What version 1 does not have is null, empty or undefined. */
function upgrade({ server, ...manifest }: v.InferOutput<typeof schema1>): Manifest {
  const { icuLocale, ...known } = server;
  // The third provider came with PostgreSQL 17.
  const otherwise = Number.parseInt(server.version, 10) < 17 ? 'libc' : null;
  const provider = icuLocale === null ? otherwise : 'icu';
  return {
    ...manifest,
    version: 2,
    server: { ...known, provider, locale: icuLocale, icuRules: null },
    definitions: null,
    warnings: [],
  };
}

const FORM = /^([a-z0-9][a-z0-9_-]*)_(production|staging)_(\d{8}_\d{6})$/;

/** @returns the id of a backup that starts now: `acme_production_20260131_020007` */
export function newId(config: Pick<Config, 'app' | 'environment'>, now: Date): string {
  return `${config.app}_${config.environment}_${stamp(now)}`;
}

/** @returns the parts of a backup's id, or undefined if the text is not an id. Matches the whole text, never a prefix. */
export function parseId(text: string): { app: string; environment: Environment } | undefined {
  const match = FORM.exec(text);
  return match ? { app: match[1]!, environment: match[2] as Environment } : undefined;
}

/** @returns whether `id` belongs to this app and environment */
export function isOurs(id: string, config: Pick<Config, 'app' | 'environment'>): boolean {
  const parts = parseId(id);
  return parts?.app === config.app && parts.environment === config.environment;
}

export const artifactName = (id: string, format: Format) => id + EXTENSION[format];
export const globalsName = (id: string) => `${id}.globals.sql.gz`;
export const manifestName = (id: string) => `${id}.json`;

/** @returns the id and format in a file's name, or undefined if it is not an artifact's */
export function parseArtifactName(name: string): { id: string; format: Format } | undefined {
  if (name.endsWith('.globals.sql.gz')) return undefined;
  for (const format of ['plain', 'custom'] as const) {
    if (name.endsWith(EXTENSION[format])) return { id: name.slice(0, -EXTENSION[format].length), format };
  }
  return undefined;
}

function checksum(manifest: object): string {
  return createHash('sha256').update(JSON.stringify(manifest)).digest('hex');
}

/** @returns the manifest as JSON, with its own checksum */
export function serialize(manifest: Manifest): string {
  const normal = v.parse(schema, manifest); // the checksum needs one order of keys
  return JSON.stringify({ ...normal, checksum: checksum(normal) }, null, 2) + '\n';
}

/**
 * Reads a manifest's text.
 * @param id the backup to which it must belong
 * @throws exit code 3 when it is truncated, changed, of another version or of another backup
 */
export function parseManifest(text: string, id: string): Manifest {
  const refuse = (why: string) =>
    verificationError(
      `the manifest of ${id} is damaged: ${why}`,
      'use another backup: ./scripts/list-backups.ts lists them.',
    );
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw refuse(messageOf(error));
  }
  const version = (json as { version?: unknown } | null)?.version;
  if (typeof version === 'number' && version > 2) {
    throw verificationError(
      `the manifest of ${id} has version ${version}; these scripts read versions 1 and 2`,
      'update these scripts.',
    );
  }
  const parsed = v.safeParse(version === 1 ? schema1 : schema, json);
  if (!parsed.success)
    throw refuse(parsed.issues.map(issue => v.getDotPath(issue) ?? 'everything').join(', ') + ' is wrong');
  if ((json as { checksum?: unknown }).checksum !== checksum(parsed.output))
    throw refuse('its checksum does not match');
  if (parsed.output.id !== id) throw refuse(`it belongs to ${parsed.output.id}`);
  return parsed.output.version === 1 ? upgrade(parsed.output) : parsed.output;
}
