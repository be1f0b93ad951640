import { existsSync, readFileSync } from 'node:fs';
import { access, constants, readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { parse } from 'dotenv';
import { messageOf, OperationalError, usageError } from '../core/errors.ts';
import { create, rewrite } from '../core/operator-file.ts';
import { unclearLines } from './env-lines.ts';

/** What an env file says. */
export interface EnvFile {
  values: Record<string, string>;
  /** See {@link unclearLines}. */
  problems: string[];
}

/** @returns what an env file of this text says */
export const readEnvText = (text: string): EnvFile => ({
  values: valuesOf(text),
  problems: unclearLines(text),
});

/**
 * @returns the variables of an env file, none where there is no file; and what is wrong with its lines, see {@link unclearLines}
 * @throws a usage error where the file can't be read
 */
export function readEnvFile(path: string): EnvFile {
  if (!existsSync(path)) return { values: {}, problems: [] };
  try {
    return readEnvText(readFileSync(path, 'utf8'));
  } catch (error) {
    throw usageError(
      `can't read ${path}: ${messageOf(error)}`,
      'run as the user who owns it, or correct its permissions.',
    );
  }
}

/** @returns the variables of an env file; none where it can't be read, which is no concern of most scripts */
export function valuesIfReadable(path: string): Record<string, string> {
  try {
    return readEnvFile(path).values;
  } catch {
    return {};
  }
}

/** @returns the variables of an env file's text */
export function valuesOf(text: string): Record<string, string> {
  // Between single quotes Compose takes \' for a quote, and dotenv leaves the backslash.
  const values = Object.entries(parse(text)).map(([name, value]) => [name, value.replaceAll("\\'", "'")]);
  return Object.fromEntries(values);
}

/**
 * @returns the text of an env file, which can be written back as it is
 * @throws a usage error where it is not UTF-8
 */
export function textOfEnvFile(path: string): string {
  const bytes = readFileSync(path);
  const text = bytes.toString('utf8');
  if (!Buffer.from(text, 'utf8').equals(bytes))
    throw usageError(`${path} is not UTF-8`, 'save it as UTF-8, then run it again.');
  return text;
}

/** @returns a value as it stands behind `NAME=`: between single quotes where it needs them */
export function quoted(value: string): string {
  const { values, problems } = readEnvText(`A=${value}\n`);
  return problems.length === 0 && values.A === value ? value : `'${value.replaceAll("'", "\\'")}'`;
}

/** @returns the text of an env file in which the last line that sets the variable now sets it to this value */
export function setVariable(text: string, name: string, value: string): string {
  const line = new RegExp(`^(\\s*(?:export\\s+)?${name}\\s*=)(.*)$`, 'gm');
  const last = [...text.matchAll(line)].at(-1);
  const end = text.includes('\r\n') ? '\r\n' : '\n';
  if (!last) return `${text}${text === '' || text.endsWith('\n') ? '' : end}${name}=${value}${end}`;
  if (last[2]!.trim().replace(/^(['"])(.*)\1$/, '$2') === value) return text;
  return text.slice(0, last.index) + last[1] + value + text.slice(last.index + last[0].length);
}

/**
 * @returns the text of an env file with these values, quoted where they need it, and each other byte as it was
 * @throws OperationalError where it would have another value than these and those that it has
 */
export function withVariables(before: string, values: Record<string, string>, file: string): string {
  const text = Object.entries(values).reduce(
    (all, [name, value]) => setVariable(all, name, quoted(value)),
    before,
  );
  refuseOtherValues(text, { ...valuesOf(before), ...values }, file);
  return text;
}

/** @throws OperationalError where the text of an env file does not have these values */
export function refuseOtherValues(text: string, values: Record<string, string>, file: string): void {
  const has = valuesOf(text);
  const wrong = Object.entries(values).flatMap(([name, value]) => (has[name] === value ? [] : [name]));
  if (wrong.length === 0) return;
  throw new OperationalError(
    `can't set ${wrong.join(', ')} in ${file}: a value of several lines has such a line`,
    'set it there by hand.',
  );
}

/**
 * Sets variables in an env file, which keeps all else, see {@link rewrite}, and each other byte. Where they have these values
 * already, nothing is written.
 *
 * @throws OperationalError where the file is missing, can't be written, or can't take a value
 */
export async function writeVariables(path: string, values: Record<string, string>): Promise<void> {
  const names = Object.keys(values);
  try {
    await refuseReadOnly(path);
    const before = await readFile(path, 'latin1'); // each byte a character: the text may be of any encoding
    const text = names.reduce((all, name) => setVariable(all, name, values[name]!), before);
    const read = parse(text);
    if (names.some(name => read[name] !== values[name]))
      throw new Error('a value of several lines has such a line');
    if (text !== before) await rewrite(path, Buffer.from(text, 'latin1'));
  } catch (error) {
    throw new OperationalError(
      `can't set ${names.join(' and ')} in ${path}: ${messageOf(error)}`,
      `set it there by hand, as the file's owner.`,
    );
  }
}

/**
 * Gives an env file another text. A file that is there keeps all else, see {@link rewrite}; a new one is its owner's only.
 *
 * @param like the file or directory whose owner a new file gets, where root writes it
 * @throws OperationalError where the file can't be written
 */
export async function writeEnvFile(path: string, text: string, like: string): Promise<void> {
  try {
    if (!existsSync(path)) return create(path, text, await stat(like));
    await refuseReadOnly(path);
    await rewrite(path, text);
  } catch (error) {
    throw new OperationalError(
      `can't write ${path}: ${messageOf(error)}`,
      `run as the file's owner, or correct its owner and mode.`,
    );
  }
}

/**
 * Sets variables in a file that is there, all of them at once.
 * @throws OperationalError where it can't be written, or can't take a value; it is then as it was
 */
export async function setValues(path: string, values: Record<string, string>): Promise<void> {
  await writeEnvFile(path, withVariables(textOfEnvFile(path), values, basename(path)), path);
}

/** @throws OperationalError where {@link writeVariables} would refuse the file */
export async function refuseUnwritable(path: string): Promise<void> {
  await refuseReadOnly(path).catch(error => {
    throw new OperationalError(
      `can't write ${path}: ${messageOf(error)}`,
      `run as the file's owner, or correct its owner and mode.`,
    );
  });
}

async function refuseReadOnly(path: string): Promise<void> {
  const { mode } = await stat(path);
  if (!(mode & 0o200)) throw new Error('it is read-only'); // root could write it
  await access(path, constants.W_OK);
}
