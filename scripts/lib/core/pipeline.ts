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

/**
 * A script of bash, ended as a group when its standard input ends: for a container, where killing `docker exec` ends
 * nothing. Bash outlives the programs that it started, and reaps them: a process that loses its parent in a container
 * is adopted by process 1, and PostgreSQL as process 1 treats a killed child as a crash of its own and restarts.
 */
export function withLifelineOnStdin([, , script]: string[]): string[] {
  const watch =
    'exec 3<&0 </dev/null; trap : TERM; { read -r _ <&3; kill -TERM 0; } & watcher=$!; exec 3<&-; ';
  const unwatch = 'trap "kill $watcher; wait $watcher 2>/dev/null" EXIT; ';
  return ['bash', '-c', watch + unwatch + script];
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
