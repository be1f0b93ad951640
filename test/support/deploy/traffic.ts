/** Generated traffic of two releases, the same in each run. */
import type { Visit } from '../../../scripts/lib/nginx/access-log.ts';

/** @returns numbers from 0 to 1 that look random: https://en.wikipedia.org/wiki/Linear_congruential_generator */
export function numbers(seed: number): () => number {
  let state = seed + 1;
  for (let i = 0; i < 10; i++) state = (state * 1664525 + 1013904223) % 2 ** 32;
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

export const ROUTES = ['GET /api/v1/articles', 'GET /api/v1/me', 'POST /api/v1/orders', 'GET /api/v1/whoami'];

export interface Scene {
  seed: number;
  clients: number;
  /** Requests of the new release; the old one has `factor` times as many. */
  requests: number;
  factor: number;
  /** The share of answers that fail in both releases. */
  noise: number;
  /** Seconds of both releases, as a factor: a busy machine. */
  load: number;
  /** What the new release does otherwise. */
  change: (visit: Visit, random: () => number) => Partial<Visit>;
  /** Further requests, for each release. */
  also: (release: 'old' | 'new', random: () => number) => Partial<Visit>[];
}

const QUIET: Omit<Scene, 'seed'> = {
  clients: 50,
  requests: 600,
  factor: 1,
  noise: 0.002,
  load: 1,
  change: () => ({}),
  also: () => [],
};

/** @returns what both releases have answered */
export function traffic(scene: Partial<Scene> & { seed: number }): { old: Visit[]; fresh: Visit[] } {
  const { seed, clients, requests, factor, noise, load, change, also } = { ...QUIET, ...scene };
  const random = numbers(seed);
  const visit = (): Visit => ({
    address: '',
    time: 0,
    client: `client ${Math.floor(random() ** 2 * clients)}`, // some ask more than others
    path: ROUTES[Math.floor(random() * ROUTES.length)]!,
    status: random() < noise ? 500 : 200,
    // Most are fast and a few are not, as of a real application.
    seconds: (0.01 + 0.02 * random()) * (random() < 0.04 ? 20 : 1) * (load === 1 ? 1 : 1 + load * random()),
  });
  const many = (release: 'old' | 'new', count: number): Visit[] => [
    ...Array.from({ length: Math.round(count) }, () => {
      const each = visit();
      return release === 'old' ? each : { ...each, ...change(each, random) };
    }),
    ...also(release, random).map(each => ({ ...visit(), status: 200, ...each })),
  ];
  return { old: many('old', requests * factor), fresh: many('new', requests) };
}
