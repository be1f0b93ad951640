import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, ROOT } from '../config/config.ts';

/** The names under which the stack is visited, in the one place where they stand: the `server_name` lines. */
export interface Site {
  /** Of the server that includes api.conf. */
  api: string;
  /** Of the server that includes frontend.conf. */
  frontend: string;
  /** All names that are served over TLS. */
  names: string[];
}

/**
 * @param text of nginx/<environment>.conf
 * @throws where a server for the API or the frontend is missing
 */
export function parseSite(text: string): Site {
  const servers = text
    .replace(/#.*/g, '')
    .split(/\bserver\s*\{/)
    .slice(1)
    .filter(server => /\blisten\s[^;]*\bssl\b/.test(server))
    .map(server => ({ server, names: /\bserver_name\s+([^;]+);/.exec(server)?.[1]?.split(/\s+/) ?? [] }));
  const nameOf = (snippet: string) => {
    const name = servers.find(({ server }) => server.includes(`/${snippet}.conf;`))?.names[0];
    if (!name) throw new Error(`no server_name for snippets/${snippet}.conf is in it`);
    return name;
  };
  return { api: nameOf('api'), frontend: nameOf('frontend'), names: servers.flatMap(({ names }) => names) };
}

export function siteOf({ environment }: Config): Site {
  return parseSite(readFileSync(join(ROOT, `nginx/${environment}.conf`), 'utf8'));
}

/** The backends of nginx/upstreams/backend.conf. */
export interface Instances {
  /** Those that get requests. */
  serving: string[];
  /** Those marked down. */
  down: string[];
}

export function parseInstances(text: string): Instances {
  const found: Instances = { serving: [], down: [] };
  for (const line of text.replace(/#.*/g, '').split(';')) {
    const name = /\bserver\s+([\w.-]+):\d+/.exec(line)?.[1];
    if (name) found[/\sdown\b/.test(line) ? 'down' : 'serving'].push(name);
  }
  return found;
}

export function instances(): Instances {
  return parseInstances(readFileSync(join(ROOT, 'nginx/upstreams/backend.conf'), 'utf8'));
}
