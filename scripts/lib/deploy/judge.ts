/**
 * Whether a new release serves visitors worse than the old one, from the requests that each has answered.
 *
 * One client must not be able to stop every release. So what the two clients do who meet most errors counts for nothing
 * (`byClients`), unless both releases serve at the same time: then a client can't choose the release that answers it, and
 * what it gets for one path from the one and not from the other is the release's doing (`byPath`).
 */
import type { Visit } from '../nginx/access-log.ts';
import { chance } from './chance.ts';

/** The clients who meet most of it and do not count. */
const IGNORED_CLIENTS = 2;
/** Errors that the others must have met at least. */
const LEAST = 3;
/** Requests without an error that the old release is credited with: where it has no traffic, there is nothing to compare. */
const CREDIT = 20;
/** The chance that two releases that are alike differ so. Some hundred routes are looked at in each of some dozen looks. */
const BY_CLIENTS = 1e-4;
const BY_PATH = 1e-5;
/** Routes that are looked at by themselves: those with the most requests. */
const ROUTES = 200;
/** Requests to the old release from which its p95 is known. */
const KNOWN = 20;

/** How an answer is bad, and by how much its share must be higher than the old release's. */
interface Fault {
  isBad: (visit: Visit) => boolean;
  margin: number;
  describe: (bad: number, count: number) => string;
}

const FAILS: Fault = {
  isBad: ({ status }) => status >= 500,
  margin: 0.01,
  describe: (bad, count) => `${bad} of ${count} answers are 5xx`,
};

/** @returns the fault of taking much longer than 95 % of the old release's answers; undefined where these are few */
function slow(old: Visit[], together: boolean): Fault | undefined {
  const times = secondsOf(old);
  if (times.length < KNOWN) return undefined;
  const p95 = times[Math.floor(times.length * 0.95)]!;
  // One after the other, a machine that has become busy slows the new release and not the old one.
  const limit = together ? Math.max(p95 * 2, p95 + 0.25) : Math.max(p95 * 4, p95 + 1);
  return {
    isBad: ({ seconds }) => seconds !== undefined && seconds > limit,
    margin: 0.05,
    describe: (bad, count) => `${bad} of ${count} answers take more than ${limit.toFixed(2)} s`,
  };
}

const secondsOf = (visits: Visit[]) =>
  visits.flatMap(({ seconds }) => (seconds === undefined ? [] : [seconds])).sort((a, b) => a - b);

/**
 * @param together whether both releases served at the same time, each request going to either by chance
 * @returns why the new release is worse than the old one, or undefined
 */
export function regression(old: Visit[], fresh: Visit[], together: boolean): string | undefined {
  const whole = byClients(FAILS, old, fresh, '');
  if (whole) return whole;
  const olds = Map.groupBy(old, ({ path }) => routeOf(path));
  const routes = [...Map.groupBy(fresh, ({ path }) => routeOf(path))].sort(
    ([, a], [, b]) => b.length - a.length,
  );
  for (const [route, visits] of routes.slice(0, ROUTES)) {
    const before = olds.get(route) ?? [];
    const late = slow(before, together);
    const where = ` for ${route}`;
    const why =
      byClients(FAILS, before, visits, where) ??
      (late && byClients(late, before, visits, where)) ??
      (together ? byPath(before, visits) : undefined);
    if (why) return why;
  }
  return undefined;
}

/** @returns the method and the path, with `:id` for what looks like the name of one thing */
export function routeOf(path: string): string {
  const [method = '', target = ''] = path.split(' ');
  const parts = target.toLowerCase().split('/').filter(Boolean);
  return `${method} /${parts.map(part => (/^[a-z_-]{1,30}$|^v\d$/.test(part) ? part : ':id')).join('/')}`;
}

function byClients(fault: Fault, old: Visit[], fresh: Visit[], where: string): string | undefined {
  const counts = new Map<string, number>();
  for (const visit of fresh)
    if (fault.isBad(visit)) counts.set(visit.client, (counts.get(visit.client) ?? 0) + 1);
  if (counts.size <= IGNORED_CLIENTS) return undefined;
  const worst = [...counts].sort(([, a], [, b]) => b - a).slice(0, IGNORED_CLIENTS);
  const ignored = new Set(worst.map(([client]) => client));
  const others = (visits: Visit[]) => visits.filter(({ client }) => !ignored.has(client));
  const before = others(old);
  const isWorse = differs(fault, before, others(fresh), CREDIT, BY_CLIENTS);
  return isWorse ? described(fault, old, fresh, where) : undefined;
}

/** Compares what one client got for one path, which both releases know. */
function byPath(old: Visit[], fresh: Visit[]): string | undefined {
  const known = ({ status }: Visit) => status < 400 || status >= 500;
  const keyOf = ({ client, path }: Visit) => `${client} ${path}`;
  const olds = Map.groupBy(old.filter(known), keyOf);
  for (const [key, visits] of Map.groupBy(fresh.filter(known), keyOf)) {
    const before = olds.get(key);
    if (!before) continue;
    for (const fault of [FAILS, slow(before, true)])
      if (fault && differs(fault, before, visits, 0, BY_PATH))
        return described(fault, before, visits, ` for ${routeOf(visits[0]!.path)}`);
  }
  return undefined;
}

function differs(
  { isBad, margin }: Fault,
  old: Visit[],
  fresh: Visit[],
  credit: number,
  limit: number,
): boolean {
  const [bad, before] = [fresh, old].map(visits => visits.filter(isBad).length) as [number, number];
  const count = old.length + credit;
  if (bad < LEAST || bad / fresh.length <= before / Math.max(count, 1) + margin) return false;
  return chance(bad, fresh.length, before, count) < limit;
}

function described({ isBad, describe }: Fault, old: Visit[], fresh: Visit[], where: string): string {
  const percent = (visits: Visit[]) =>
    `${visits.length === 0 ? '0.0' : ((visits.filter(isBad).length / visits.length) * 100).toFixed(1)} %`;
  const clients = new Set(fresh.filter(isBad).map(({ client }) => client)).size;
  const text = describe(fresh.filter(isBad).length, fresh.length);
  return `${text}${where} (${percent(fresh)}, clients: ${clients}; the previous release: ${percent(old)})`;
}
