/** What a run of the tests prints: each file as it ends, and in the end where the time went. */
import type { Outcome } from './run-file.ts';

/** Files that are listed in the end. */
const LONGEST = 10;

/** One line for a file that has ended; of one that failed, all that it printed. */
export function ended(outcome: Outcome, done: number, all: number, secondsLeft: number | undefined): string {
  const { file, passed, problems, seconds, output } = outcome;
  const left = secondsLeft === undefined || done === all ? '' : `, about ${minutes(secondsLeft)} left`;
  const mark = problems.length > 0 ? '✗' : '✓';
  const said = problems.length > 0 ? ` ${problems.join(', ')}` : '';
  const line = `[${done}/${all}${left}] ${mark} ${file}: ${passed} passed (${seconds.toFixed(1)} s)${said}`;
  // What a test found out that is worth to be read when all is well, it says in lines that begin so.
  const shown = problems.length > 0 ? output : (output.match(/» .*$/gm) ?? []).join('\n');
  return shown ? `${line}\n${shown.replaceAll(/^/gm, '    ')}` : line;
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
