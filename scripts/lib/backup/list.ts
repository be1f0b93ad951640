import { totalRows } from '../postgres/row-counts.ts';
import type { Found } from './catalog.ts';
import { type BackupCheck, lastCheck } from './check-log.ts';
import type { Format } from './manifest.ts';

/** A backup with its copies, as list-backups.ts prints it with --json. */
export interface ListedBackup {
  id: string;
  /** Null: unknown, because no manifest can be read. */
  snapshotAt: string | null;
  bytes: number;
  format: Format | null;
  rows: number | null;
  label: string | null;
  /** `verified`, `-` if there is no copy, `foreign: …` without this server's signature, or what is wrong with it. */
  local: string;
  s3: string;
  /** Whether backup.ts will copy it to S3 later. */
  missesCopy: boolean;
  /** When a copy was last read and compared with its checksums. */
  readAt: string | null;
  /** When a copy was last loaded into a database and compared; null: never. */
  loadedAt: string | null;
}

/**
 * @param missing the ids of those that miss their copy in S3
 * @returns one entry for each backup, newest data first
 */
export function listBackups(found: Found[], checks: BackupCheck[], missing: string[] = []): ListedBackup[] {
  const byId = Map.groupBy(found, ({ id }) => id);
  return [...byId]
    .map(([id, copies]) => {
      const local = copies.find(({ place }) => place === 'local');
      const s3 = copies.find(({ place }) => place === 's3');
      const trusted = copies.find(({ problem }) => !problem);
      const manifest = (trusted ?? local)?.manifest ?? s3?.manifest;
      const madeAt = manifest?.verification.at;
      return {
        id,
        snapshotAt: manifest?.snapshotAt ?? null,
        bytes: (local ?? s3)!.bytes,
        format: manifest?.format ?? null,
        rows: manifest ? totalRows(manifest.tables) : null,
        label: manifest?.label ?? null,
        local: localStatus(local, lastCheck(checks, id, 'read', 'local') ?? madeAt),
        s3: s3 ? (s3.problem ?? 'verified') : '-',
        missesCopy: missing.includes(id),
        readAt: lastCheck(checks, id, 'read') ?? madeAt ?? null,
        loadedAt: lastCheck(checks, id, 'loaded') ?? null,
      };
    })
    .sort((a, b) => (b.snapshotAt ?? '').localeCompare(a.snapshotAt ?? ''));
}

/** @param readAt when it was last read; a file that was written later may hold something else */
function localStatus(local: Found | undefined, readAt: string | undefined): string {
  if (!local) return '-';
  if (local.problem) return local.problem;
  const isChanged =
    local.changedAt !== undefined && readAt !== undefined && local.changedAt > Date.parse(readAt);
  return isChanged ? `changed since it was read: ./scripts/verify-backup.ts ${local.id}` : 'verified';
}
