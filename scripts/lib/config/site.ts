/** The host names of the product. */
import * as v from 'valibot';
import { text } from './types.ts';

/** The public names of the stack. */
export interface Site {
  api: string;
  frontend: string;
  /** All names that are served over TLS. */
  names: string[];
}

/*
 * The rules are those of nginx/settings.sh, which makes lines of Nginx's configuration of the names. A hundred
 * characters, with www., are what Nginx's tables of names hold: nginx/snippets/http.conf.
 */
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const PATTERN = new RegExp(`^(?=.{1,100}$)(?:${LABEL}\\.)+(?=[a-z])${LABEL}$`);

/** A host name of at least two labels: no address, no wildcard. */
export const hostName = text(
  'a host name such as acme.example: lower case, without https://, port, path or final dot; an international name in its xn-- form',
  PATTERN,
);
export const siteName = v.pipe(
  hostName,
  v.check(name => !name.startsWith('www.'), 'without www.: www.<DOMAIN> is redirected to it'),
);

/**
 * @returns the names of an environment's stack, with the defaults of its Compose file
 */
export function siteOf(environment: string, given: { DOMAIN?: string; API_DOMAIN?: string }): Site {
  const prefix = environment === 'production' ? '' : `${environment}.`;
  const frontend = given.DOMAIN ?? `${prefix}neurmatic.com`;
  const api = given.API_DOMAIN ?? `api.${frontend}`;
  return { api, frontend, names: [frontend, `www.${frontend}`, api] };
}

/** @returns a line for each name that collides with another one */
export function siteProblems({ api, frontend }: Site): string[] {
  if (api !== frontend && api !== `www.${frontend}`) return [];
  return ['API_DOMAIN: another name than DOMAIN and www.<DOMAIN>'];
}
