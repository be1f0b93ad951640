import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Config, Environment } from './config.ts';
import { ENVIRONMENTS } from './config.ts';
import { messageOf, verificationError } from './errors.ts';
import { propertiesSchema } from './properties.ts';
import { stamp } from './text.ts';

export type Format = 'plain' | 'custom';

const EXTENSION: Record<Format, string> = { plain: '.sql.gz', custom: '.dump.zst' };

const file = z.object({
  name: z.string().regex(/^[\w.-]+$/),
  bytes: z.int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/** What a backup is. Documented field by field in docs/PRODUCTION_INFRASTRUCTURE.md#the-manifest. */
const schema = z.object({
  version: z.literal(1),
  id: z.string(),
  app: z.string(),
  environment: z.enum(ENVIRONMENTS),
  database: z.string(),
  label: z.string().nullable(),
  /** Made by a restore, of the database that it was about to replace. `latest` never means one. */
  safety: z.boolean(),
  startedAt: z.iso.datetime(),
  snapshotAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  format: z.enum(['plain', 'custom']),
  artifact: file,
  globals: file,
  server: z.object({
    version: z.string(),
    encoding: z.string(),
    collate: z.string(),
    ctype: z.string(),
    icuLocale: z.string().nullable(),
  }),
  properties: propertiesSchema,
  tools: z.object({ pgDump: z.string(), compressor: z.string() }),
  databaseBytes: z.int().nonnegative(),
  tables: z.array(z.object({ schema: z.string(), name: z.string(), rows: z.int().nonnegative() })),
  largeObjects: z.int().nonnegative(),
  extensions: z.array(z.object({ name: z.string(), version: z.string() })),
  migrationHead: z.string().nullable(),
  verification: z.object({ level: z.literal('decoded'), at: z.iso.datetime() }),
});

export type Manifest = z.infer<typeof schema>;

const FORM = /^([a-z0-9][a-z0-9_-]*)_(production|staging)_(\d{8}_\d{6})$/;

/** @returns the id of a backup that starts now: `neurmatic_production_20260131_020007` */
export function newId(config: Pick<Config, 'app' | 'environment'>, now: Date): string {
  return `${config.app}_${config.environment}_${stamp(now)}`;
}

/** @returns the parts of a backup's id, or undefined if the text is none. Matches whole, never a prefix. */
export function parseId(text: string): { app: string; environment: Environment } | undefined {
  const match = FORM.exec(text);
  return match ? { app: match[1]!, environment: match[2] as Environment } : undefined;
}

/** @returns whether `id` is one that this app and environment gives its backups */
export function isOurs(id: string, config: Pick<Config, 'app' | 'environment'>): boolean {
  const parts = parseId(id);
  return parts?.app === config.app && parts.environment === config.environment;
}

export const artifactName = (id: string, format: Format) => id + EXTENSION[format];
export const globalsName = (id: string) => `${id}.globals.sql.gz`;
export const manifestName = (id: string) => `${id}.json`;

/** @returns the id and format that a file's name says, or undefined if it is no artifact's */
export function parseArtifactName(name: string): { id: string; format: Format } | undefined {
  if (name.endsWith('.globals.sql.gz')) return undefined;
  for (const format of ['plain', 'custom'] as const) {
    if (name.endsWith(EXTENSION[format])) return { id: name.slice(0, -EXTENSION[format].length), format };
  }
  return undefined;
}

function checksum(manifest: Manifest): string {
  return createHash('sha256').update(JSON.stringify(manifest)).digest('hex');
}

/** @returns the manifest as text, with a checksum of itself */
export function serialize(manifest: Manifest): string {
  const normal = schema.parse(manifest); // the order of keys that the checksum is made over
  return JSON.stringify({ ...normal, checksum: checksum(normal) }, null, 2) + '\n';
}

/**
 * Reads a manifest's text.
 * @param id the backup that it must be about
 * @throws exit code 3 when it is cut, changed, of another version or of another backup
 */
export function parseManifest(text: string, id: string): Manifest {
  const refuse = (why: string) =>
    verificationError(
      `the manifest of ${id} is damaged: ${why}`,
      'use another backup: list-backups.ts shows them.',
    );
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw refuse(messageOf(error));
  }
  const version = (json as { version?: unknown } | null)?.version;
  if (typeof version === 'number' && version > 1) {
    throw verificationError(
      `the manifest of ${id} is of version ${version}, and these scripts read version 1`,
      'update these scripts.',
    );
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success)
    throw refuse(parsed.error.issues.map(issue => issue.path.join('.')).join(', ') + ' is wrong');
  if ((json as { checksum?: unknown }).checksum !== checksum(parsed.data))
    throw refuse('its checksum does not match');
  if (parsed.data.id !== id) throw refuse(`it is about ${parsed.data.id}`);
  return parsed.data;
}
