import { messageOf } from '../core/errors.ts';
import type { Node } from './expressions.ts';
import type { DatabaseNames } from './names.ts';
import { contracts, type Fault, type Risk } from './risk.ts';
import { judgeStatement } from './statements.ts';
import { clashes, newMade } from './tables.ts';

/**
 * Reads the migrations of one deployment, in their order, with PostgreSQL's own parser. Harmless is what is known to be:
 * every query of the previous release that names its columns works as before, also after the new release has used what
 * is new. Everything else contracts; the comment `-- rollback-safe: REASON` before a statement accepts that.
 *
 * @param existing what the database has before
 * @returns what is wrong with each, in the order of its statements; one finding for a file that the parser refuses
 */
export async function lintMigrations(migrations: string[], existing: DatabaseNames): Promise<Risk[][]> {
  const { parse } = await import('libpg-query'); // a parser in WebAssembly, compiled as it is loaded
  const made = newMade();
  const names = { ...existing, views: new Set(existing.views), domains: new Set(existing.domains) };
  const all: Risk[][] = [];
  for (const sql of migrations) {
    let statements: Node[];
    try {
      statements = (await parse(sql)).stmts ?? [];
    } catch (error) {
      all.push([{ ...contracts(`can't be read: ${messageOf(error)}`), sql: oneLine(sql) }]);
      continue;
    }
    const source = Buffer.from(sql);
    const judge = ({ stmt, stmt_location: start = 0, stmt_len: length }: Node) => {
      const [[type, node]] = Object.entries<Node>(stmt) as [[string, Node]];
      const before = [...made.tables.values()].some(table => clashes(table).length > 0);
      const faults: Fault[] = judgeStatement(type, node, made, names);
      if (!before) faults.push(...[...made.tables.values()].flatMap(clashes).slice(0, 1));
      const text = source.subarray(start, length ? start + length : undefined).toString();
      const accepted = acceptedBecause(start === 0 ? `\n${text}` : text);
      return faults.map(fault => ({
        ...fault,
        sql: oneLine(text),
        ...(accepted && fault.kind === 'contracts' ? { accepted } : {}),
      }));
    };
    all.push(statements.flatMap(judge));
  }
  return all;
}

/**
 * @param text a statement with what stands before it: the rest of the line of the statement before, and comments
 * @returns the reason in a line `-- rollback-safe: REASON` of its own between the two
 */
function acceptedBecause(text: string): string | undefined {
  const [comments] = /^[^\S\n]*(?:--.*)?(?:\n\s*(?:--.*)?)*/.exec(text)!;
  const [, reason] = /\n\s*--\s*rollback-safe:[^\S\n]*(\S.*)/i.exec(comments) ?? [];
  return reason && oneLine(reason);
}

function oneLine(sql: string): string {
  const line = sql
    .replace(/--[^\n]*/g, ' ')
    .replace(/[\s\p{Cc}\p{Cf}]+/gu, ' ') // no code that a terminal obeys
    .trim();
  return line.length > 100 ? `${line.slice(0, 99)}…` : line;
}
