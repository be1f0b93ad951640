/** What the statements of a dump need of the server. */
import type { Needs } from '../postgres/needs.ts';
import { needOf } from './dump-statements.ts';

/** What a restore needs of the server. */
export type Requirements = Needs & { extensions: string[] };

/** Collects what statements need. Names are decoded by the dump's own encoding. */
export function collectNeeds(): { add: (statement: string) => void; all: () => Requirements } {
  const roles = new Map<string, Set<Needs['roles'][number]['uses'][number]>>();
  const names = {
    tablespaces: new Set<string>(),
    collations: new Set<string>(),
    publications: new Set<string>(),
    superuser: new Set<string>(),
    extensions: new Set<string>(),
  };
  let decoder = new TextDecoder();
  return {
    add: text => {
      const encoding = /^SET client_encoding = '(\w+)';$/.exec(text)?.[1];
      if (encoding !== undefined) decoder = decoderOf(encoding);
      const need = needOf(decoder.decode(Buffer.from(text, 'latin1')));
      if (!need) return;
      for (const [role, use] of need.roles) roles.set(role, (roles.get(role) ?? new Set()).add(use));
      for (const key of Object.keys(names) as (keyof typeof names)[])
        for (const name of need[key] ?? []) names[key].add(name);
    },
    all: () => ({
      roles: [...roles].map(([name, uses]) => ({ name, uses: [...uses].sort(), cannotCreateIn: [] })),
      tablespaces: [...names.tablespaces],
      collations: [...names.collations],
      publications: [...names.publications],
      superuser: [...names.superuser],
      extensions: [...names.extensions],
    }),
  };
}

/** PostgreSQL’s names of encodings: https://www.postgresql.org/docs/current/multibyte.html#CHARSET-TABLE */
function decoderOf(encoding: string) {
  const label = encoding
    .replace(/^WIN(\d+)$/, 'windows-$1')
    .replace(/^ISO_8859_(\d)$/, 'iso-8859-$1')
    .replace(/^LATIN(\d)$/, (_, number: string) => `iso-8859-${Number(number) < 5 ? number : 9}`)
    .replaceAll('_', '-');
  try {
    return new TextDecoder(label);
  } catch {
    return new TextDecoder();
  }
}
