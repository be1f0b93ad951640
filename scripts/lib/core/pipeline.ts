/** Pipes in bash, which report the program that failed. zx's own pipes keep all data in memory. */
import { STATUSES } from './program-output.ts';
import { zx } from './spawn.ts';

/**
 * Bash that runs `stages` as a pipe, prints each stage's exit status on stderr and exits with the first that
 * is not 0.
 */
export function pipeline(...stages: string[][]): string[] {
  const names = stages.map(([name]) => name).join(' | ');
  const script = [
    stages.map(stage => stage.map(quoteWord).join(' ')).join(' | '),
    's=("$' + '{PIPESTATUS[@]}")',
    `echo "${STATUSES}${names}: $` + '{s[*]}" >&2',
    'for x in "$' + '{s[@]}"; do [ "$x" = 0 ] || exit "$x"; done',
  ].join('; ');
  return ['bash', '-c', script];
}

/** Bash that runs one program. */
export function bashOf(argv: string[]): string[] {
  return ['bash', '-c', argv.map(quoteWord).join(' ')];
}

/** A stage of a pipe that is a script of bash. It outlives the programs that it started: see {@link withLifelineOnStdin}. */
export function scriptStage(script: string, ...words: string[]): string[] {
  return ['bash', '-c', `trap "exit 143" TERM; ${script}`, ...words];
}

/** What a command reads: so many bytes, or the statements of a dialogue to their end. */
export type Input = number | 'dialogue';

/** Passes the statements of a dialogue on. The script can end before they do: then it ends this `cat`, which waits for more. */
const DIALOGUE =
  'trap "{ kill \\$cat; wait \\$cat; } 2>/dev/null; exit" TERM; cat <&3 & cat=$!; wait $cat; trap exit TERM; ';

/**
 * A script of bash, ended as a group when its standard input ends: for a container, where killing `docker exec` ends
 * nothing. The script reads `input` of it; the end of a dialogue gives it a second to end by itself.
 *
 * Bash outlives the programs that it started, and reaps them: a process that loses its parent in a container
 * is adopted by process 1, and PostgreSQL as process 1 treats a killed child as a crash of its own and restarts.
 */
export function withLifelineOnStdin([, , script, ...words]: string[], input: Input): string[] {
  const pass = input === 'dialogue' ? DIALOGUE : input > 0 ? `head -c ${input} <&3; ` : '';
  const end = input === 'dialogue' ? 'read -rt 1 _ <> <(:)' : 'read -r _ <&3';
  const watcher = `trap exit TERM; ${pass}exec >&-; ${end}; kill -TERM 0`;
  const watch = `exec 3<&0; trap : TERM; exec < <(${watcher}); watcher=$!; exec 3<&-; `;
  // Closed first, so that the watcher does not wait until its data is read.
  const unwatch = 'trap "exec <&-; { kill $watcher; wait $watcher; } 2>/dev/null" EXIT; ';
  return ['bash', '-c', watch + unwatch + script, ...words];
}

/** zx's quote makes $'…' strings, which bash reads and sh does not: only bash runs these scripts. */
function quoteWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : zx().quote(word);
}

/** @returns which stage of a failed pipe failed, and how: not one that only lost its reader (SIGPIPE, status 141) */
export function failedStage(stderr: string): { name: string; how: string; status: number } | undefined {
  const line = stderr.split('\n').findLast(each => each.startsWith(STATUSES));
  if (line === undefined) return undefined;
  const [names = '', statuses = ''] = line.slice(STATUSES.length).split(': ');
  const failed = names
    .split(' | ')
    .map((name, index) => ({ name, status: Number(statuses.split(' ')[index]) }))
    .filter(({ status }) => status !== 0);
  const culprit = failed.find(({ status }) => status !== 141) ?? failed[0];
  if (!culprit) return undefined;
  const { name, status } = culprit;
  return {
    name,
    how: `${name} ${status > 128 ? `was ended by signal ${status - 128}` : `exited with ${status}`}`,
    status,
  };
}
