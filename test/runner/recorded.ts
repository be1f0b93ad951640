import { existsSync, readFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import type { Recorded } from './recorder.ts';

/** Processes that are shown of one test, the newest; lines of each, and characters of a line. */
const SHOWN = 12;
const LINES = 10;
const WIDTH = 300;
/** What no text has: a control character, or what stands for bytes that are no UTF-8. */
const BINARY = /(?!\t)[\p{Cc}\ufffd]/u;

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
    const last = linesOf(tail).slice(-LINES).join('\n').replaceAll(/^/gm, '    ');
    return `  $ ${command.replaceAll(/\s+/g, ' ').slice(0, 160)} (${end})\n${tail.trim() ? `${last}\n` : ''}`;
  });
  return `\n${title}${left}:\n${lines.join('')}`;
}

/** @returns its lines, and for neighbours that are not text, as of a dump, one that says so */
function linesOf(text: string): string[] {
  const lines = stripVTControlCharacters(text)
    .trimEnd()
    .split(/\r?\n/)
    .map(line => (BINARY.test(line) ? '(no text)' : line.slice(0, WIDTH)));
  return lines.filter((line, i) => line !== '(no text)' || lines[i - 1] !== line);
}
