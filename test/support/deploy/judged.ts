/** Generated traffic of good and bad releases, and what the judge makes of it. */
import { regression } from '../../../scripts/lib/deploy/judge.ts';
import type { Visit } from '../../../scripts/lib/nginx/access-log.ts';
import { type Scene, traffic } from './traffic.ts';

/** Samples of each scene: 20 in test/long/deploy/judge.test.ts. */
export const SEEDS = Number(process.env.JUDGE_SEEDS ?? 4);

/** @returns how many of the seeds are refused, and the reasons */
export function judged(scene: Partial<Scene>, together: boolean): { refused: number; reasons: string[] } {
  const reasons = Array.from({ length: SEEDS }, (_, seed) => seed).flatMap(seed => {
    const { old, fresh } = traffic({ ...scene, seed });
    return regression(old, fresh, together) ?? [];
  });
  return { refused: reasons.length, reasons };
}

export const both = (scene: Partial<Scene>) => [judged(scene, true), judged({ factor: 8, ...scene }, false)];

/** Requests of one client, of which a share fails. */
export const attack =
  (share: number, more: Partial<Visit> = {}) =>
  (_: string, random: () => number) =>
    Array.from({ length: 300 }, () => ({
      client: 'attacker',
      path: 'POST /api/v1/orders',
      status: random() < share ? 500 : 200,
      ...more,
    }));
export const only =
  (release: 'old' | 'new', make: Scene['also']): Scene['also'] =>
  (each, random) =>
    each === release ? make(each, random) : [];

export const GOOD: Record<string, Partial<Scene>> = {
  'like the old one': {},
  'with 2 % errors, as before': { noise: 0.02 },
  'with 20 % errors, as before': { noise: 0.2 },
  'on a machine that slows both': { load: 30 },
  'with 10 requests': { requests: 10 },
  'with 10 requests of 2 clients, and 1 before': { requests: 10, clients: 2, factor: 0.1 },
  'without traffic': { requests: 0 },
  'with 4,000 requests': { requests: 4000 },
  'with one client who makes each request fail': { also: attack(1) },
  'with one client who makes each second request fail': { also: attack(0.5) },
  'with one client who makes requests take long': { also: attack(0, { seconds: 5 }) },
  'with two clients who make requests fail': {
    also: (release, random) => [
      ...attack(1)(release, random),
      ...attack(1, { client: 'another' })(release, random),
    ],
  },
  'with ten clients whose requests fail in both': {
    also: release =>
      Array.from({ length: release === 'old' ? 800 : 100 }, (_, i) => ({
        client: `broken ${i % 10}`,
        status: 500,
      })),
  },
  'with one client who finds an error on a new path': {
    also: (release, random) =>
      attack(1, { path: 'POST /api/v1/new', status: release === 'old' ? 404 : 500 })(release, random),
  },
  'with an office behind one address, slower than others': {
    also: () => Array.from({ length: 200 }, () => ({ client: 'office', seconds: 3 })),
  },
};

const at = (path: string, change: Partial<Visit>) => (visit: Visit) => (visit.path === path ? change : {});
export const BAD: Record<string, [Partial<Scene>, RegExp]> = {
  'fails everywhere': [
    { change: () => ({ status: 500 }) },
    /^\d+ of \d+ answers are 5xx \(100\.0 %, clients: \d+; /,
  ],
  'fails for 5 %': [
    { requests: 1000, change: (_, random) => (random() < 0.05 ? { status: 503 } : {}) },
    /5xx/,
  ],
  'fails for 2 %': [
    { requests: 3000, change: (_, random) => (random() < 0.02 ? { status: 500 } : {}) },
    /5xx/,
  ],
  'fails on one route': [{ requests: 200, change: at('POST /api/v1/orders', { status: 500 }) }, /5xx/],
  'fails on one route of many requests': [
    {
      requests: 4000,
      change: (visit, random) =>
        visit.path === 'POST /api/v1/orders' && random() < 0.05 ? { status: 500 } : {},
    },
    /5xx/,
  ],
  'fails for those who are logged in': [
    { requests: 200, change: at('GET /api/v1/me', { status: 500 }) },
    /5xx/,
  ],
  'is slow on one route': [
    { change: at('GET /api/v1/articles', { seconds: 2.5 }) },
    /^\d+ of \d+ answers take more than [\d.]+ s for GET \/api\/v1\/articles \(/,
  ],
  'is slow everywhere': [{ change: () => ({ seconds: 3 }) }, /take more than/],
  'fails, and one client made the old one fail': [
    { also: only('old', attack(1)), change: (_, random) => (random() < 0.3 ? { status: 500 } : {}) },
    /5xx/,
  ],
  'fails on a route that the old one does not have': [
    {
      also: (release, random) =>
        Array.from({ length: 40 }, () => ({
          client: `client ${Math.floor(random() * 50)}`,
          path: 'GET /api/v1/new',
          status: release === 'old' ? 404 : 500,
        })),
    },
    /5xx/,
  ],
};
