/** Moves the application's variables out of `.env.<environment>`, into a file that only its containers get. */
import { existsSync } from 'node:fs';
import { parse } from 'dotenv';
import { usageError } from '../core/errors.ts';
import type { Config } from './config.ts';
import { refuseUnwritable, textOfEnvFile, valuesOf, writeEnvFile } from './env-file.ts';
import { type Part, partsOf, unclearLines } from './env-lines.ts';
import { applicationNames } from './known-names.ts';

const HEAD = '# The application’s own variables: its containers get all of them. See .env.app.example.\n';

interface Split {
  /** The text of the file that variables are moved from. */
  env: string;
  /** The text of the file that they are moved to. */
  app: string;
  moved: string[];
  /** Variables that both files have, with different values: they are not moved. */
  clashes: string[];
}

/** Lines that belong together: comments, and the variables below them. */
interface Block {
  comments: Part[];
  variables: Part[];
}

/**
 * A misspelling of a script's variable may be a key that the application must not have: it stays.
 *
 * @returns both files after the move. The comments above a variable go with it; where one of those that stay is below them as
 *   well, they are copied. What the other file has already is not written again
 */
export function splitText(env: string, app: string): Split {
  const [values, there] = [valuesOf(env), valuesOf(app)];
  const moved = applicationNames(Object.keys(values));
  const moves = ({ name }: Part) => name !== undefined && moved.includes(name);
  const clashes = moved.filter(name => Object.hasOwn(there, name) && there[name] !== values[name]);
  const stay: string[] = [];
  const go: string[] = [];
  let gone = false; // a block whose blank line goes with it
  for (const part of blocksOf(env)) {
    if (!('variables' in part)) {
      if (!gone || part.kind !== 'blank') stay.push(part.text);
      gone = false;
      continue;
    }
    const { comments, variables } = part;
    const moving = variables.filter(moves);
    const rest = variables.filter(each => !moves(each));
    const fresh = moving.filter(({ name }) => !Object.hasOwn(there, name!));
    if (fresh.length > 0) go.push(...[...comments, ...fresh].map(({ text }) => ended(text)));
    if (moving.length === 0 || rest.length > 0) stay.push(...[...comments, ...rest].map(({ text }) => text));
    gone = moving.length > 0 && rest.length === 0;
  }
  const before = app === '' ? HEAD : ended(app);
  return { env: stay.join(''), app: go.length === 0 ? app : `${before}\n${go.join('')}`, moved, clashes };
}

const ended = (text: string) => (text.endsWith('\n') ? text : `${text}\n`);

function blocksOf(text: string): (Block | Part)[] {
  const all: (Block | Part)[] = [];
  let block: Block | undefined;
  for (const part of partsOf(text)) {
    if (part.kind !== 'comment' && part.kind !== 'variable') {
      block = undefined;
      all.push(part);
      continue;
    }
    if (!block || (part.kind === 'comment' && block.variables.length > 0)) {
      block = { comments: [], variables: [] };
      all.push(block);
    }
    (part.kind === 'comment' ? block.comments : block.variables).push(part);
  }
  return all;
}

/**
 * Moves them. A run that is killed has moved nothing, or has written the application's file only: the next one ends it.
 *
 * @param looking changes nothing
 * @returns the names that were moved
 * @throws a usage error where the files can't be read as Compose does, or contradict each other; nothing is changed then
 */
export async function splitEnvFile({ envFile, appFile }: Config, looking: boolean): Promise<string[]> {
  const [before, appBefore] = [textOf(envFile), existsSync(appFile) ? textOf(appFile) : ''];
  const unclear = [...unclearLines(before), ...unclearLines(appBefore)];
  if (unclear.length > 0)
    throw usageError(
      `lines that Compose would read differently:\n  ${unclear.join('\n  ')}`,
      'correct them.',
    );
  const { env, app, moved, clashes } = splitText(before, appBefore);
  if (clashes.length > 0)
    throw usageError(
      `${envFile} and ${appFile} have different values of ${clashes.join(', ')}`,
      'remove the wrong one of each, then run it again.',
    );
  const all = { ...parse(before), ...parse(appBefore) };
  const after = { ...parse(app), ...parse(env) };
  if (Object.keys(all).some(name => after[name] !== all[name]))
    throw new Error('the move would change a value');
  if (looking || moved.length === 0) return moved;
  await refuseUnwritable(envFile);
  if (app !== appBefore) await writeEnvFile(appFile, app, envFile);
  await writeEnvFile(envFile, env, envFile);
  return moved;
}

function textOf(path: string): string {
  if (!existsSync(path)) throw usageError(`there is no ${path}`, 'make it: ./scripts/init.ts');
  return textOfEnvFile(path);
}
