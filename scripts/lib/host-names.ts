import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Environment, ROOT } from './config.ts';

/** The names that Nginx serves, as its `server_name` lines say them. */
export interface HostNames {
  api: string;
  site: string;
}

/** @returns the names in nginx/<environment>.conf, where they stand once */
export async function hostNames(environment: Environment): Promise<HostNames> {
  return parseHostNames(await readFile(join(ROOT, 'nginx', `${environment}.conf`), 'utf8'));
}

/** @throws where no server includes the API's or the frontend's snippet */
export function parseHostNames(text: string): HostNames {
  const nameOf = (snippet: string) => {
    const server = text.split(/^\s*server \{/m).find(block => block.includes(`snippets/${snippet}.conf`));
    const name = /^\s*server_name (\S+?);?(?:\s|$)/m.exec(server ?? '')?.[1];
    if (!name) throw new Error(`no server of Nginx includes snippets/${snippet}.conf`);
    return name.replace(/;$/, '');
  };
  return { api: nameOf('api'), site: nameOf('frontend') };
}
