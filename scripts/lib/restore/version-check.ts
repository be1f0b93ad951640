import type { Source } from '../backup/find.ts';
import type { Postgres } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { programVersion, type ServerFacts } from '../postgres/server.ts';

/*
 * Since these minor versions plain dumps hold \restrict, which an older psql refuses. CVE-2025-8714.
 */
const RESTRICT_SINCE: Record<number, number> = { 13: 22, 14: 19, 15: 14, 16: 10, 17: 6 };

/** @returns whether a version of psql knows \restrict, or of pg_dump writes it */
export function knowsRestrict(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major >= 18 || minor >= (RESTRICT_SINCE[major] ?? Number.POSITIVE_INFINITY);
}

/** @throws where this server or its programs are too old for the dump */
export async function refuseOlderServer(
  postgres: Postgres,
  server: ServerFacts,
  { manifest, format }: Source,
): Promise<void> {
  if (!manifest) return;
  const major = Number.parseInt(manifest.server.version, 10);
  if (major > server.major) {
    throw new OperationalError(
      `${manifest.id} comes from PostgreSQL ${manifest.server.version}; this server is ${server.version}`,
      `restore into a server of version ${major} or later.`,
    );
  }
  const program = format === 'plain' ? 'psql' : 'pg_restore';
  const version = await programVersion(postgres, program);
  const tooOld =
    format === 'plain'
      ? knowsRestrict(manifest.tools.pgDump) && !knowsRestrict(version)
      : Number.parseInt(version, 10) < Number.parseInt(manifest.tools.pgDump, 10);
  if (tooOld) {
    throw new OperationalError(
      `${program} ${version} can't read what pg_dump ${manifest.tools.pgDump} wrote`,
      `update PostgreSQL’s client programs to ${manifest.tools.pgDump} or later.`,
    );
  }
}
