import { bytes, duration } from './format.ts';
import { log } from './log.ts';

interface Progress {
  /** The work, as a participle: `Dumping`. */
  label: string;
  /** Bytes done so far; called a few times a second on a terminal. */
  measure: () => number | Promise<number>;
  /** Total bytes, if known or estimated. */
  total?: number;
}

/** @returns one line: label, bytes, rate and, with a known total, the time left */
function progressLine({ label, total }: Omit<Progress, 'measure'>, done: number, seconds: number): string {
  const rate = done / Math.max(seconds, 0.001);
  const parts = [label.padEnd(10), bytes(done)];
  if (total && done <= total) {
    parts.push(`of ~${bytes(total)}`, `${Math.floor((done / total) * 100)} %`);
    if (done > 0 && seconds > 1) parts.push(`about ${duration((total - done) / rate)} left`);
  } else {
    parts.push(`in ${duration(seconds)}`);
  }
  parts.push(`(${bytes(rate)}/s)`);
  return parts.join('  ');
}

/** Shows the progress of work: a live line on a terminal; elsewhere a line at the start and one at the end. */
export async function withProgress<T>(progress: Progress, work: () => Promise<T>): Promise<T> {
  const { label, measure, total } = progress;
  const started = performance.now();
  const elapsed = () => (performance.now() - started) / 1000;
  if (!process.stderr.isTTY) log.info(`${label} …${total ? ` about ${bytes(total)}` : ''}`);
  let over = false;
  const show = async () => {
    const done = await measure();
    if (over) return;
    log.status(progressLine(progress, done, elapsed()));
    setTimeout(show, 200).unref();
  };
  if (process.stderr.isTTY) void show();
  try {
    const result = await work();
    over = true;
    log.done(`${label}: ${bytes(await measure())} in ${duration(elapsed())}`);
    return result;
  } finally {
    over = true;
    log.status('');
  }
}
