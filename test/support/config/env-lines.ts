/** Lines of env files, and what Compose reads in them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../engine/process.ts';

/** What stands behind `A=`, and the value that both read. */
export const CLEAR: Record<string, string> = {
  '': '',
  'a b=c': 'a b=c',
  ' a ': 'a',
  'postgresql://u:p%40ss@h:5432/d?x=1&y': 'postgresql://u:p%40ss@h:5432/d?x=1&y',
  'c29tZQ==': 'c29tZQ==',
  '0 2 * * *': '0 2 * * *',
  'a # why': 'a',
  'a\\b': 'a\\b',
  'a"b': 'a"b',
  '\'a$b #c "d" `e` \\n\'': 'a$b #c "d" `e` \\n',
  "'it\\'s'": "it's",
  "'a'# why": 'a',
  "'-----BEGIN\nMII=\n-----END'": '-----BEGIN\nMII=\n-----END',
  '"a\\nb"': 'a\nb',
  '"it\'s #1"': "it's #1",
};

/** What stands behind `A=`, and is another value for each, or an error for one. */
export const UNCLEAR = [
  'abc#def',
  '#abc',
  ' # why',
  'abc$def',
  'abc${',
  '$$abc',
  '"abc$def"',
  '"abc\\$def"',
  '"a\\tb"',
  '"a\\"b"',
  '"a\\\\b"',
  '`a`',
  '"a"b',
  "'a'b",
  "'a' B=b",
  "\\'a\\'",
  '"a',
  "'a",
  '\ufeffa\ufeff',
  "'a\r\nb'",
];

/** @returns what a container gets that has the file as its `env_file`, by `docker compose config` */
export async function composeReads(
  env: NodeJS.ProcessEnv,
  directory: string,
  text: string,
): Promise<Record<string, string>> {
  writeFileSync(join(directory, 'variables'), text);
  const file = join(directory, 'compose.yml');
  writeFileSync(file, 'services: { s: { image: x, env_file: [variables] } }\n');
  const args = ['compose', '--file', file, '--env-file', '/dev/null', 'config', '--format', 'json'];
  const { services } = JSON.parse(await run('docker', args, { env }));
  const values: [string, string][] = Object.entries(services.s.environment);
  return Object.fromEntries(values.map(([name, value]) => [name, value.replaceAll('$$', '$')]));
}
