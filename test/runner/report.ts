/** What a run of the tests prints: each file as it ends, and in the end where the time went. */
import { stripVTControlCharacters } from 'node:util';
import type { Outcome } from './run-file.ts';

/** Files that are listed in the end. */
const LONGEST = 10;
/** Lines of a file that failed that the end of a run repeats. */
const REPEATED = 25;

/** One line for a file that has ended; of one that failed, all that it printed. */
export function ended(outcome: Outcome, done: number, all: number, secondsLeft: number | undefined): string {
  const { file, passed, problems, seconds } = outcome;
  const output = outcome.output + outcome.processes;
  const left = secondsLeft === undefined || done === all ? '' : `, about ${minutes(secondsLeft)} left`;
  const mark = problems.length > 0 ? '✗' : '✓';
  const said = problems.length > 0 ? ` ${problems.join(', ')}` : '';
  const line = `[${done}/${all}${left}] ${mark} ${file}: ${passed} passed (${seconds.toFixed(1)} s)${said}`;
  // What a test found out that is worth to be read when all is well, it says in lines that begin so.
  const shown = problems.length > 0 ? output : (output.match(/» .*$/gm) ?? []).join('\n');
  return shown ? `${line}\n${shown.replaceAll(/^/gm, '    ')}` : line;
}

/**
 * What failed and why, without what its processes printed: the end of a log is what is read first, and all that is left
 * of it in some places.
 */
export function failures(outcomes: Outcome[]): string {
  return outcomes
    .filter(({ problems }) => problems.length > 0)
    .map(({ file, problems, output }) => `✗ ${file}: ${problems.join(', ')}\n${reasons(output)}\n`)
    .join('\n');
}

/** What uvu says of each test that failed; of a file that broke off, its last lines. */
function reasons(output: string): string {
  const plain = stripVTControlCharacters(output);
  const said = [...plain.matchAll(/^ {3}FAIL {2}[\s\S]*?(?=^ {3}FAIL {2}|^ {2}Total: )/gm)].map(
    ([text]) => text,
  );
  const parts = said.map(text => text.trimEnd().split('\n').slice(0, REPEATED));
  const lines = parts.length > 0 ? parts.flat() : plain.trimEnd().split('\n').slice(-REPEATED);
  return lines.join('\n').replaceAll(/^/gm, '    ');
}

/** The longest files, with the seconds that passed and those of a processor, which are not those of containers. */
export function longest(outcomes: Outcome[]): string {
  const rows = outcomes.toSorted((a, b) => b.seconds - a.seconds).slice(0, LONGEST);
  const width = Math.max(...rows.map(({ file }) => file.length));
  const lines = rows.map(({ file, seconds, cpuSeconds }) =>
    [
      file.padEnd(width),
      `${seconds.toFixed(0)} s`.padStart(7),
      `${cpuSeconds.toFixed(0)} s`.padStart(9),
    ].join(' '),
  );
  return [`${'longest files'.padEnd(width)}    wall processor`, ...lines].join('\n');
}

/** `6 min`, or `40 s` of the last one. */
function minutes(seconds: number): string {
  return seconds < 90 ? `${Math.ceil(seconds / 10) * 10} s` : `${Math.round(seconds / 60)} min`;
}
