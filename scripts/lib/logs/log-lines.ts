/** Lines of a container's log, as `docker logs --timestamps` writes them. */
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { printable } from '../core/format.ts';
import { interrupt } from '../core/signals.ts';

/** Bytes that are kept of a line. Nginx's are shorter: it accepts 32 KB of headers. */
const LONGEST = 262_144;
/** Docker cuts a line to pieces of this many bytes and writes a timestamp before each: the copier of its daemon. */
const PIECE = 16_384;
/** As Docker writes it: 30 bytes and a blank. */
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z /;

export interface LogLine {
  /** In UTC, with nanoseconds, as Docker writes it; `''`: Docker itself says this. */
  time: string;
  text: string;
  /** Whether its end is missing. */
  isCut: boolean;
}

/*
 * One pipe for stdout and stderr: of two, Docker would fill the one that nobody reads while the other is waited for. Standard
 * input is a pipe that only this process holds open: when this process closes it or ends, even if it is killed, Docker's client
 * ends, too, which would else follow a log for nobody.
 */
const START = `
exec 3<&0 </dev/null
"$@" 2>&1 3<&- &
client=$!
( exec >&- 2>&-; read -r _ <&3; kill "$client" ) &
exec 3<&-
wait "$client"
kill $!
`;

/**
 * Reads a container's log from `since` on, its stdout and its stderr, in the order in which they were written.
 *
 * @param follow also what comes, until the container stops, it is removed, or a signal ends this process
 */
export async function* readLog(
  container: string,
  { since, follow }: { since: string; follow: boolean },
): AsyncGenerator<LogLine> {
  const argv = [
    'docker',
    'logs',
    '--timestamps',
    '--since',
    since,
    ...(follow ? ['--follow'] : []),
    container,
  ];
  const child = spawn('bash', ['--noprofile', '--norc', '-c', START, 'bash', ...argv], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => {});
  const end = () => void child.stdin.end();
  if (interrupt.aborted) end();
  interrupt.addEventListener('abort', end, { once: true });
  try {
    for await (const line of splitLines(child.stdout)) yield parseLine(line.bytes, line.isCut);
  } finally {
    interrupt.removeEventListener('abort', end);
    end();
  }
}

/** @returns the lines of a stream, without their ends; of a longer one the first {@link LONGEST} bytes */
export async function* splitLines(
  stream: Readable | AsyncIterable<Buffer>,
): AsyncGenerator<{ bytes: Buffer; isCut: boolean }> {
  let parts: Buffer[] = [];
  let length = 0;
  let isCut = false;
  const add = (part: Buffer) => {
    const room = LONGEST - length;
    if (part.length > room) isCut = true;
    const kept = part.subarray(0, Math.max(0, room));
    parts.push(kept);
    length += kept.length;
  };
  const take = () => {
    const line = { bytes: Buffer.concat(parts), isCut };
    parts = [];
    length = 0;
    isCut = false;
    return line;
  };
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let from = 0;
    for (let to = chunk.indexOf(10); to >= 0; to = chunk.indexOf(10, from)) {
      add(chunk.subarray(from, to));
      from = to + 1;
      yield take();
    }
    if (from < chunk.length) add(chunk.subarray(from));
  }
  if (length > 0) yield take();
}

/** Takes the timestamps off a line, also those before its further pieces. */
export function parseLine(bytes: Buffer, isCut = false): LogLine {
  const line = bytes.toString('latin1'); // one character a byte
  const [stamp] = TIMESTAMP.exec(line) ?? [''];
  let text = line.slice(stamp.length);
  if (stamp)
    for (let at = PIECE; at < text.length; at += PIECE) {
      const [next] = TIMESTAMP.exec(text.slice(at, at + 31)) ?? [''];
      text = text.slice(0, at) + text.slice(at + next.length);
    }
  const decoded = Buffer.from(text, 'latin1').toString('utf8').replace(/\r$/, '');
  return { time: stamp.trimEnd(), text: decoded, isCut };
}

/** @returns the lines of several logs in the order of their times, each of which is in order */
export async function* merge<T extends { time: string }>(logs: AsyncIterator<T>[]): AsyncGenerator<T> {
  const heads = await Promise.all(logs.map(async log => ({ log, next: await log.next() })));
  try {
    for (;;) {
      const open = heads.filter(({ next }) => !next.done);
      if (open.length === 0) return;
      const first = open.reduce((a, b) => (b.next.value!.time < a.next.value!.time ? b : a));
      yield first.next.value as T;
      first.next = await first.log.next();
    }
  } finally {
    await Promise.all(logs.map(log => log.return?.()));
  }
}

/** What Docker says in the place of a log, in one line. */
export const saying = ({ text }: LogLine): string => printable(text.trim());
