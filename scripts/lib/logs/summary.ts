/** Requests counted by status and path. */
import { count, printable, table } from '../core/format.ts';
import type { Entry } from './entry.ts';

/** A path with all of its requests that have one status. */
export interface Row {
  status: number;
  /** The method, and the path with `*` for what differs between alike ones, such as ids. */
  path: string;
  count: number;
  /** Seconds, of all and of the slowest. */
  seconds: number;
  slowest: number;
}

/** Rows of a table. */
const SHOWN = 20;
/** Rows that are counted. A visitor can ask for any number of paths: further ones are one row for each status. */
const COUNTED = 10_000;
const OTHERS = '(other paths)';

export interface Summary {
  add: (entry: Entry) => void;
  /** The most frequent first. */
  rows: () => Row[];
  text: () => string;
}

export function summarize(): Summary {
  const rows = new Map<string, Row>();
  let requests = 0;
  let other = 0;
  const byFrequency = () => [...rows.values()].toSorted((a, b) => b.count - a.count);
  return {
    add({ request }) {
      if (!request) {
        other++;
        return;
      }
      requests++;
      const { method, path, status, seconds } = request;
      const name = `${method} ${alike(path)}`;
      const known = rows.has(`${status} ${name}`) || rows.size < COUNTED;
      const key = `${status} ${known ? name : OTHERS}`;
      const row = rows.get(key) ?? { status, path: known ? name : OTHERS, count: 0, seconds: 0, slowest: 0 };
      row.count++;
      row.seconds += seconds;
      row.slowest = Math.max(row.slowest, seconds);
      rows.set(key, row);
    },
    rows: byFrequency,
    text() {
      const classes = Object.entries(
        Object.groupBy([...rows.values()], ({ status }) => `${Math.floor(status / 100)}xx`),
      ).map(([name, of]) => `${count(of!.reduce((sum, row) => sum + row.count, 0))} ${name}`);
      const sorted = classes.toSorted((a, b) => a.split(' ')[1]!.localeCompare(b.split(' ')[1]!));
      const total = [
        `${count(requests)} request${requests === 1 ? '' : 's'}${requests > 0 ? `: ${sorted.join(', ')}` : ''}`,
        ...(other > 0 ? [`${count(other)} other line${other === 1 ? '' : 's'}`] : []),
      ].join('; ');
      if (requests === 0) return total;
      const all = byFrequency();
      const shown = all
        .slice(0, SHOWN)
        .map(row => [
          count(row.count),
          `${row.status}`,
          printable(row.path).slice(0, 120),
          `${(row.seconds / row.count).toFixed(3)} s`,
          `${row.slowest.toFixed(3)} s`,
        ]);
      const more = all.length - shown.length;
      return [
        table(['>requests', '>status', 'path', '>mean', '>slowest'], shown),
        ...(more > 0 ? [`and ${count(more)} more rows: --json shows all`] : []),
        total,
      ].join('\n');
    },
  };
}

/** @returns a path with `*` in the place of numbers, UUIDs and other ids, and at most its first 200 characters */
export function alike(path: string): string {
  const id = /^(\d+|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{16,}|(?=[^/]*\d)[\w-]{20,})$/i;
  return path
    .slice(0, 200)
    .split('/')
    .map(part => (id.test(part) ? '*' : part))
    .join('/');
}
