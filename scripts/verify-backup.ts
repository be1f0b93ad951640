#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { rm } from 'node:fs/promises';
import { recordCheck } from './lib/backup/check-log.ts';
import { makeLookingDirectory } from './lib/backup/directory.ts';
import { fetchSource } from './lib/backup/fetch.ts';
import { findSource, parsePlace } from './lib/backup/find.ts';
import { isOurs } from './lib/backup/manifest.ts';
import { describeSource } from './lib/backup/source.ts';
import { checkSource } from './lib/backup/verify.ts';
import { command, execute } from './lib/cli/command.ts';
import { Exit, usageError } from './lib/core/errors.ts';
import { bytes, count } from './lib/core/format.ts';
import { totalRows } from './lib/postgres/row-counts.ts';

export const verify = command({
  summary: 'Verify a backup again: check its checksums and decode every block. drill.ts also restores it.',
  usage: [
    '<latest | backup id | file | s3://bucket/key> [--from local|s3] [--env production|staging] [--json]',
  ],
  options: {
    from: {
      type: 'string',
      value: 'local|s3',
      help: 'where to look for the backup; default: local, then S3',
    },
  },
  examples: [
    ['verify-backup.ts latest --from s3', 'download the newest off-site copy and read all of it'],
    ['verify-backup.ts neurmatic_production_20260131_020007', 'one backup'],
  ],
  exitCodes: [
    [Exit.done, 'complete; with a manifest, also unchanged'],
    [Exit.failed, 'could not be read'],
    [Exit.usage, 'wrong flags or configuration'],
    [Exit.verification, 'missing, truncated or damaged'],
    [Exit.offsite, 'S3 can’t be read'],
  ],
  positionals: 1,
  async run({ options: { from }, positionals: [wanted], config: load }) {
    if (!wanted)
      throw usageError('no backup given', 'give latest, an id, a file or an s3:// address; see --help.');
    const place = parsePlace(from);
    const config = load();
    const fetched = await makeLookingDirectory(config);
    try {
      const source = await fetchSource(await findSource(config, wanted, place), fetched);
      await checkSource(config.postgres, source);
      const { manifest } = source;
      const size = manifest
        ? `, ${bytes(manifest.artifact.bytes)}, ${count(totalRows(manifest.tables))} rows`
        : '';
      if (manifest && isOurs(manifest.id, config)) {
        const kept = source.directory === fetched ? 's3' : 'local';
        recordCheck(config, { id: manifest.id, place: kept, check: 'read' });
      }
      const verdict = manifest
        ? source.foreign
          ? `complete and as its manifest says, but ${source.foreign}`
          : 'complete and unchanged'
        : 'complete; without a manifest nothing shows whether it was changed';
      return {
        text: `${verdict}: ${describeSource(source)}${size}`,
        json: {
          verified: source.name,
          compared: manifest !== null,
          foreign: source.foreign !== undefined,
          bytes: manifest?.artifact.bytes ?? null,
        },
      };
    } finally {
      await rm(fetched, { recursive: true, force: true });
    }
  },
});

if (import.meta.main) await execute(verify);
