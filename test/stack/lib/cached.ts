/** What the tests of the cache send, each request as another client, so that no limit is met. */
import { randomBytes } from 'node:crypto';
import type { Agent } from 'node:https';
import type { Cloudflare } from './cloudflare.ts';

/** Credentials that Nginx knows. */
export const CREDENTIALS = [
  ['Authorization', 'Bearer x'],
  ['Authorization', 'Basic eA=='],
  ['Cookie', 'a=b'],
  ['Proxy-Authorization', 'Basic eA=='],
  ['X-API-Key', 'key'],
  ['X-Auth-Token', 'token'],
  ['Cf-Access-Jwt-Assertion', 'jwt'],
] as const;

/** In a query of the puppet: what it says of its answer. */
export const says = (...lines: string[]) => lines.map(line => `header=${encodeURIComponent(line)}`).join('&');
export const PUBLIC = says('Cache-Control:public');

export function visitorsOf(cloudflare: Cloudflare) {
  /** In the query of every request: what this stack's caches hold of other files' is not met. */
  const own = `of=${randomBytes(4).toString('hex')}`;
  const withOwn = (path: string) => `${path}${path.includes('?') ? '&' : '?'}${own}`;
  const get = (
    path: string,
    headers: Record<string, string> = {},
    part: 'api' | 'site' = 'api',
    agent?: Agent,
  ) => cloudflare.ask(cloudflare.client(), part, withOwn(path), { headers, agent });
  return { own, withOwn, get };
}
