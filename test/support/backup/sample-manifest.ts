import type { Manifest } from '../../../scripts/lib/backup/manifest.ts';

/** A manifest as backup.ts writes it, with what a test wants to be different. */
export function sampleManifest(changes: Partial<Manifest> = {}): Manifest {
  const id = changes.id ?? 'neurmatic_production_20260131_020007';
  const time = changes.snapshotAt ?? '2026-01-31T02:00:07.123Z';
  return {
    version: 2,
    id,
    app: 'neurmatic',
    environment: 'production',
    database: 'neurmatic_production',
    label: null,
    safety: false,
    startedAt: time,
    snapshotAt: time,
    finishedAt: time,
    format: 'plain',
    artifact: { name: `${id}.sql.gz`, bytes: 22_000, sha256: 'a'.repeat(64) },
    globals: { name: `${id}.globals.sql.gz`, bytes: 300, sha256: 'b'.repeat(64) },
    server: {
      version: '15.20',
      encoding: 'UTF8',
      collate: 'C.UTF-8',
      ctype: 'C.UTF-8',
      provider: 'libc',
      locale: null,
      icuRules: null,
    },
    properties: {
      owner: 'postgres',
      connectionLimit: -1,
      comment: 'has "quotes" and ünïcode',
      settings: [{ role: null, name: 'search_path', value: 'public' }],
      privileges: null,
    },
    tools: { pgDump: '15.20', compressor: 'gzip 1.12' },
    databaseBytes: 8_000_000,
    tables: [{ schema: 'public', name: 't', rows: 1000 }],
    largeObjects: 0,
    extensions: [{ name: 'plpgsql', version: '1.0' }],
    migrationHead: null,
    verification: { level: 'decoded', at: time },
    definitions: null,
    warnings: [],
    ...changes,
  };
}
