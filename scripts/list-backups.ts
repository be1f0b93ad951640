#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { type Found, localBackups, storedBackups } from './lib/backup/catalog.ts';
import { command, execute } from './lib/cli/command.ts';
import { Exit } from './lib/core/errors.ts';
import { bytes, count, duration, plural, table, utc } from './lib/core/format.ts';
import { log } from './lib/core/log.ts';
import { totalRows } from './lib/postgres/row-counts.ts';
import { openStore } from './lib/s3/open-store.ts';

export const list = command({
  summary: 'List the backups of one environment, local and in S3.',
  usage: ['[--env production|staging] [--json]'],
  options: {},
  examples: [
    ['list-backups.ts', 'all backups of production'],
    ['list-backups.ts --json | jq -r .[0].id', 'the id of the newest'],
  ],
  exitCodes: [
    [Exit.done, 'listed'],
    [Exit.usage, 'wrong flags or configuration'],
    [Exit.offsite, 'S3 can’t be read'],
  ],
  async run({ config: load }) {
    const config = load();
    const now = Date.now();
    const local = await localBackups(config, now);
    const stored = config.s3 ? await storedBackups(config, await openStore(config.s3), now) : [];
    if (!config.s3) log.info('S3: not configured (S3_BUCKET is empty)');
    const backups = sideBySide(local, stored);
    const text =
      backups.length > 0
        ? toTable(backups, now)
        : `no backups of ${config.postgres.database} (${config.environment})`;
    return { text, json: backups.map(toRow) };
  },
});

interface Pair {
  id: string;
  local?: Found;
  s3?: Found;
}

function sideBySide(local: Found[], stored: Found[]): Pair[] {
  const pairs = new Map<string, Pair>();
  for (const found of [...local, ...stored]) {
    pairs.set(found.id, { ...(pairs.get(found.id) ?? { id: found.id }), [found.place]: found });
  }
  return [...pairs.values()].sort((a, b) => snapshotOf(b).localeCompare(snapshotOf(a)));
}

const manifestOf = ({ local, s3 }: Pair) => local?.manifest ?? s3?.manifest;
const snapshotOf = (pair: Pair) => manifestOf(pair)?.snapshotAt ?? '';
const statusOf = (found: Found | undefined) => (found ? (found.problem ?? 'verified') : '-');

function toRow(pair: Pair) {
  const manifest = manifestOf(pair);
  return {
    id: pair.id,
    snapshotAt: manifest?.snapshotAt ?? null,
    bytes: (pair.local ?? pair.s3)!.bytes,
    format: manifest?.format ?? null,
    rows: manifest ? totalRows(manifest.tables) : null,
    label: manifest?.label ?? null,
    local: statusOf(pair.local),
    s3: statusOf(pair.s3),
  };
}

function toTable(pairs: Pair[], now: number): string {
  const rows = pairs.map(pair => {
    const { id, snapshotAt, bytes: size, format, rows, label, local, s3 } = toRow(pair);
    const age = snapshotAt ? duration((now - Date.parse(snapshotAt)) / 1000) : '?';
    return [
      id,
      snapshotAt ? utc(snapshotAt) : '?',
      age,
      bytes(size),
      rows === null ? '?' : count(rows),
      format ?? '?',
      local,
      s3,
      label ?? '',
    ];
  });
  const header = ['id', 'data of', '>age', '>size', '>rows', 'format', 'local', 'S3', 'label'];
  return `${table(header, rows)}\n${plural(pairs.length, 'backup')}`;
}

if (import.meta.main) await execute(list);
