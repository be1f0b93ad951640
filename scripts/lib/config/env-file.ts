import { existsSync, readFileSync } from 'node:fs';
import { parse } from 'dotenv';
import { messageOf, usageError } from '../core/errors.ts';

/**
 * @returns the variables of an env file, as Compose reads them; none where there is no file
 * @throws a usage error where the file can't be read
 */
export function readEnvFile(path: string): Record<string, string> {
  if (!existsSync(path)) return {};
  try {
    const values = Object.entries(parse(readFileSync(path)));
    // Between single quotes Compose takes \' for a quote, and dotenv leaves the backslash.
    return Object.fromEntries(values.map(([name, value]) => [name, value.replaceAll("\\'", "'")]));
  } catch (error) {
    throw usageError(
      `can't read ${path}: ${messageOf(error)}`,
      'run as the user who owns it, or correct its permissions.',
    );
  }
}

/** @returns the text of an env file in which the last line that sets the variable now sets it to this value */
export function setVariable(text: string, name: string, value: string): string {
  const line = new RegExp(`^(\\s*(?:export\\s+)?${name}\\s*=)(.*)$`, 'gm');
  const last = [...text.matchAll(line)].at(-1);
  if (!last) return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${name}=${value}\n`;
  if (last[2]!.trim().replace(/^(['"])(.*)\1$/, '$2') === value) return text;
  return text.slice(0, last.index) + last[1] + value + text.slice(last.index + last[0].length);
}
