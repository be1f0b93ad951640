import { existsSync, readFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import type { Recorded } from './recorder.ts';

/** Processes that are shown of one test, the newest, and lines of each. */
const SHOWN = 12;
const LINES = 10;

/** @returns for each test that failed, the last lines of each process that it had started, and of the file's own */
export function lastLinesOf(records: string, output: string): string {
  if (!existsSync(records)) return '';
  const recorded = JSON.parse(readFileSync(records, 'utf8')) as Recorded[];
  const failed = [...stripVTControlCharacters(output).matchAll(/^ {3}FAIL {2}"(.*)"$/gm)].map(
    ([, name]) => name!,
  );
  return [...failed, ''].map(name => section(name, recorded)).join('');
}

function section(name: string, recorded: Recorded[]): string {
  const own = recorded.filter(({ test }) => test === name);
  if (own.length === 0) return '';
  const title =
    name === '' ? 'processes that the file started outside of its tests' : `processes of “${name}”`;
  const left = own.length > SHOWN ? `, the last ${SHOWN} of ${own.length}` : '';
  const lines = own.slice(-SHOWN).map(({ command, end, tail }) => {
    const last = tail.trimEnd().split('\n').slice(-LINES).join('\n').replaceAll(/^/gm, '    ');
    return `  $ ${command.replaceAll(/\s+/g, ' ').slice(0, 160)} (${end})\n${tail.trim() ? `${last}\n` : ''}`;
  });
  return `\n${title}${left}:\n${lines.join('')}`;
}
