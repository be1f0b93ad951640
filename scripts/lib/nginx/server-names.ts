import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, ROOT } from '../config/config.ts';

/** The public names of the stack, from the `server_name` lines of nginx/<environment>.conf. */
export interface Site {
  /** The first name of the server that includes api.conf. */
  api: string;
  /** The first name of the server that includes frontend.conf. */
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
    if (!name) throw new Error(`it has no server_name for snippets/${snippet}.conf`);
    return name;
  };
  return { api: nameOf('api'), frontend: nameOf('frontend'), names: servers.flatMap(({ names }) => names) };
}

/** @throws where nginx/<environment>.conf is missing, or lacks a server for the API or the frontend */
export function siteOf({ environment }: Config): Site {
  return parseSite(readFileSync(join(ROOT, `nginx/${environment}.conf`), 'utf8'));
}
