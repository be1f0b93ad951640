/** Which requests are shown. */
import { usageError } from '../core/errors.ts';
import type { Entry } from './entry.ts';

/** Which entries are shown; with a status or a path, requests only. */
export interface Filter {
  status?: RegExp;
  path?: RegExp;
}

/**
 * @param status statuses or classes of them, separated by commas: `404`, `5xx`, `4xx,5xx`
 * @param path a path with all below it; `*` stands for any text
 * @throws a usage error
 */
export function filterOf({ status, path }: { status?: string; path?: string }): Filter {
  const filter: Filter = {};
  if (status !== undefined) {
    const parts = status.toLowerCase().split(',');
    if (!parts.every(part => /^[1-5](\d\d|xx)$/.test(part)))
      throw usageError(
        `--status takes statuses or classes of them, not ${JSON.stringify(status)}`,
        'give for example --status 5xx or --status 404,5xx.',
      );
    filter.status = new RegExp(`^(${parts.join('|').replaceAll('x', '\\d')})$`);
  }
  if (path !== undefined) {
    if (!/^[/*]/.test(path))
      throw usageError(
        `--path takes a path that begins with / or *, not ${JSON.stringify(path)}`,
        'give for example --path /api/v1/users or --path "*.php".',
      );
    const words = path.replace(/(.)\/$/, '$1').split(/\*+/);
    const pattern = words.map(word => word.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('.*');
    filter.path = new RegExp(`^${pattern}(/.*)?$`, 's');
    if (path === '/') filter.path = /^/;
  }
  return filter;
}

export function isShown({ status, path }: Filter, { request }: Entry): boolean {
  if (!status && !path) return true;
  if (!request) return false;
  return (!status || status.test(`${request.status}`)) && (!path || path.test(request.path));
}

const SPAN = { s: 1, m: 60, h: 3600, d: 86_400 };

/**
 * @param text a span before `now`, such as `30m`, `1h`, `2d`, or a time such as `2026-01-31T02:00:00Z`
 * @throws a usage error
 */
export function sinceOf(text: string, now = Date.now()): Date {
  const [, number, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (number) return new Date(now - Number(number) * SPAN[unit as keyof typeof SPAN] * 1000);
  // Without a zone it would be that of whoever runs this.
  const isClear = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(text);
  const time = new Date(text);
  if (isClear && !Number.isNaN(time.getTime())) return time;
  throw usageError(
    `--since takes a span or a time with its zone, not ${JSON.stringify(text)}`,
    'give for example --since 1h, --since 2026-01-31 or --since 2026-01-31T02:00:00Z.',
  );
}
