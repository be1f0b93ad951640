/** Sorts the statements of a dump by who runs them, and when. */
import { nameOf, wordsOf } from '../postgres/sql-words.ts';
import type { Cut } from './plain-commands.ts';
import {
  authorization,
  createdSchema,
  createdSequence,
  onlySuperuser,
  type Phase,
  phaseOf,
  schemaOfExtension,
  tableGiven,
} from './strict-statements.ts';

/** Each text has one character (latin1) a byte, as in the dump. */
export interface Statements {
  /** What POSTGRES_USER runs, in the order of the dump. */
  phases: Record<Phase, string[]>;
  /** The schemas that extensions need, quoted as in the dump. */
  schemas: string[];
  /** The statement that says how the dump is encoded. */
  encoding: string | undefined;
  /** Objects that only a superuser may make, and that the load itself has to make. */
  onlySuperuser: string[];
  cuts: Cut[];
}

/** Encodings in which a byte of a longer character can look like a quote or a backslash. */
const AMBIGUOUS = /^(?:BIG5|GB18030|GBK|JOHAB|SJIS|SHIFT_JIS_2004|UHC|MSKANJI|ShiftJIS|WIN9[34]\d)$/i;

interface Statement {
  text: string;
  cut: Cut | undefined;
}

export function sortStatements(): {
  /** @param cut where it stands; undefined: it can't be left out, so the load runs it */
  add: (text: string, cut: Cut | undefined) => void;
  all: () => Statements;
} {
  const phases: Statements['phases'] = {
    before: [],
    owner: [],
    sequence: [],
    privilege: [],
    object: [],
    trigger: [],
  };
  const made = { schemas: new Map<string, Cut>(), sequences: new Set<string>() };
  const cuts: Cut[] = [];
  const superuser = new Set<string>();
  let encoding: string | undefined;
  /** Grants of another role, with SET and RESET around them. */
  let group: Statement[] | undefined;

  const take = (phase: Phase, { text, cut }: Statement) => {
    phases[phase].push(text);
    cuts.push(cut!);
  };
  const dissolve = () => {
    for (const each of group?.slice(1) ?? []) take('privilege', each);
    group = undefined;
  };

  return {
    add: (text, cut) => {
      const statement = { text, cut };
      const end = cut && authorization(text);
      const phase = cut && phaseOf(text);
      if (end === 'set') {
        dissolve();
        group = [statement];
      } else if (group && end === 'reset') {
        for (const each of [...group, statement]) take('privilege', each);
        group = undefined;
      } else if (group && phase === 'privilege') {
        group.push(statement);
      } else {
        dissolve();
        if (phase) return take(phase, statement);
        encoding = /^SET client_encoding = '\w+';$/.exec(text)?.[0] ?? encoding;
        const schema = createdSchema(text);
        if (schema !== undefined && cut) made.schemas.set(schema, cut);
        const sequence = createdSequence(text);
        if (sequence !== undefined) made.sequences.add(sequence);
        const object = onlySuperuser(text);
        if (object !== undefined) superuser.add(object);
      }
    },
    all: () => {
      dissolve();
      const needed = new Set(phases.before.map(schemaOfExtension));
      const schemas = [...made.schemas].filter(([name]) => needed.has(name));
      const isSequence = (text: string) => made.sequences.has(tableGiven(text) ?? '');
      const name = encoding?.split("'")[1];
      if (name !== undefined && AMBIGUOUS.test(name)) superuser.add(`statements in ${name}`);
      return {
        phases: {
          ...phases,
          owner: phases.owner.filter(text => !isSequence(text)),
          sequence: [...phases.owner.filter(isSequence), ...phases.sequence],
        },
        schemas: schemas.map(([name]) => name),
        encoding,
        onlySuperuser: [...superuser],
        cuts: [...cuts, ...schemas.map(([, cut]) => cut)].sort((a, b) => a.start - b.start),
      };
    },
  };
}

/**
 * @returns how the lines of a table of contents begin, behind their numbers, that a load leaves out because POSTGRES_USER runs
 *   their statements
 */
export function entriesLeftOut({ phases, schemas }: Pick<Statements, 'phases' | 'schemas'>): string[] {
  const statements = [...phases.before, ...phases.object, ...phases.trigger];
  const entries = statements.flatMap(statement => {
    const [, made, comment] =
      /^(?:CREATE (EXTENSION|PUBLICATION|SUBSCRIPTION|EVENT TRIGGER) (?:IF NOT EXISTS )?|COMMENT ON (EXTENSION|PUBLICATION|SUBSCRIPTION|EVENT TRIGGER|SCHEMA) )/.exec(
        statement,
      ) ?? [];
    const kind = made ?? comment;
    if (kind === undefined)
      return / ADD TABLES IN SCHEMA /.test(statement) ? ['PUBLICATION TABLES IN SCHEMA '] : [];
    const words = wordsOf(
      statement.slice(statement.indexOf(kind) + kind.length).replace(/^ IF NOT EXISTS/, ''),
    );
    return [`${comment === undefined ? `${kind} -` : `COMMENT - ${kind}`} ${tag(nameOf(words[0]) ?? '')} `];
  });
  return [...entries, ...schemas.map(name => `SCHEMA - ${tag(nameOf(wordsOf(name)[0]) ?? '')} `)];
}

const tag = (name: string) => name.replaceAll(/[\r\n]/g, ' ');
