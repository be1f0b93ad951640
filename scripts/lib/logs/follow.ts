/** The log of one service, also when its container is replaced. */
import { log } from '../core/log.ts';
import { interrupt, sleep } from '../core/signals.ts';
import { type LogLine, readLog, saying } from './log-lines.ts';

/** Seconds between two looks for a container that has stopped or is replaced. */
const LOOK_SECONDS = 1;

/**
 * Follows a container's log after `last`. Docker's own `--follow` ends with the container: a deployment replaces it by
 * another one of the same name, whose log is followed then.
 *
 * @param last the time of the last line that was read
 */
export async function* followLog(container: string, last: string): AsyncGenerator<LogLine> {
  let after = last;
  let isTold = false;
  while (!interrupt.aborted) {
    for await (const line of readLog(container, { since: after, follow: true })) {
      if (!line.time) {
        if (!isTold) log.info(`${container}: ${saying(line)}; waiting for it`);
        isTold = true;
      } else if (line.time > after) {
        after = line.time;
        isTold = false;
        yield line;
      }
    }
    await sleep(LOOK_SECONDS).catch(() => {});
  }
}

/** @returns what several sources yield, each as soon as it comes */
export async function* race<T>(sources: AsyncIterator<T>[]): AsyncGenerator<T> {
  const pending = new Map(sources.map(source => [source, next(source)]));
  while (pending.size > 0) {
    const { source, result } = await Promise.race(pending.values());
    if (result.done) pending.delete(source);
    else {
      pending.set(source, next(source));
      yield result.value;
    }
  }
}

async function next<T>(source: AsyncIterator<T>) {
  return { source, result: await source.next() };
}
