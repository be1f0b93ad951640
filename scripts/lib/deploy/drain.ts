import type { Config } from '../config/config.ts';
import { log } from '../core/log.ts';
import { CommandError } from '../core/shell.ts';
import { sleep, throwIfSignalled } from '../core/signals.ts';
import { inNginx, nginxTimes } from '../nginx/reload.ts';

/**
 * Waits until instances that are out of the list have finished their requests: Nginx's old workers send no more, and
 * the instance's own count is 0 three times in a row. If the count does not reach 0 in time, that is
 * a warning: the instance may not count its requests.
 */
export async function drain(config: Config, ...services: string[]): Promise<void> {
  await untilOldWorkersAreDone();
  await Promise.all(services.map(service => untilIdle(config, service)));
}

/** Seconds for requests to end, beyond the longest that Nginx waits for an answer. */
const SPARE_SECONDS = 5;
/** Seconds for one count, and for `docker exec` itself. */
const COUNT_SECONDS = 3;
const EXEC_SECONDS = 30;

async function untilIdle(config: Config, service: string): Promise<void> {
  const seconds = nginxTimes().answer + SPARE_SECONDS;
  const count = `curl -fsS -m ${COUNT_SECONDS} http://${service}:3000/api/v1/metrics |
    awk '/^http_requests_in_flight[ {]/ { all += $NF; found = 1 } END { if (found) print all }'`;
  // By the clock, not by turns: a count that is not answered takes as long as curl waits for it.
  const look = `n=0; end=$(($(date +%s) + ${Math.ceil(seconds)})); while [ "$(date +%s)" -lt "$end" ]; do
    c=$(${count}); [ "$c" = 0 ] && n=$((n+1)) || n=0
    [ $n = 3 ] && exit 0; sleep 0.5
  done; exit 1`;
  try {
    await inNginx(config, look, `drain ${service}`, { timeout: seconds + COUNT_SECONDS + EXEC_SECONDS });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    log.warn(`${service} still answers requests after ${seconds} s, or does not count them; stopping it`);
  }
}

/**
 * Waits until Nginx's old workers no longer send requests by the previous list.
 *
 * @param since when the current list was loaded, by `performance.now()`
 */
export async function untilOldWorkersAreDone(since = performance.now()): Promise<void> {
  const { oldWorkers } = nginxTimes();
  // A fifth more, for requests that arrive at the last moment.
  const left = oldWorkers * 1.2 - (performance.now() - since) / 1000;
  if (left > 0) await sleep(left);
  throwIfSignalled();
}
