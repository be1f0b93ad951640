import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { World } from '../core/world.ts';

/** A database's name and a password with every character that a shell, a URL or SQL minds. */
export const NAME = `It's "Ü" -d=$(x) \\n%s;&| 日本`;
export const PASSWORD = 'p\'a"s s$w(o)r`d\\!&|;<>*?[x]{y}~#%41=:/@+,^é';

/** Runs a script that must succeed and not show the password. @returns its JSON */
export async function succeed(world: World, script: string, ...args: string[]) {
  const { code, stdout, stderr } = await world.run(script, [...args, '--json']);
  assert.is(code, 0, stderr);
  for (const form of [PASSWORD, encodeURIComponent(PASSWORD)]) {
    assert.not.ok((stdout + stderr).includes(form), 'the password is in the output');
  }
  return JSON.parse(stdout);
}

/** @returns the contents of the logs and the state below a directory */
export function texts(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && /\.(jsonl?|log|lock)$/.test(entry.name))
    .map(entry => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
}
