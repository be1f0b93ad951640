import type { Config } from '../config/config.ts';
import { Interrupted, OperationalError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { sleep, throwIfSignalled } from '../core/signals.ts';
import { inNginx, nginxTimes } from '../nginx/reload.ts';

/**
 * Waits until instances that are out of the list have finished their requests: Nginx's old workers send no more, and
 * the instance's own count is 0 three times in a row. If the count does not reach 0 in time, that is
 * a warning: the instance may not count its requests.
 *
 * @throws OperationalError when Nginx's container can't be asked for as long: the instance must not be stopped then
 */
export async function drain(config: Config, ...services: string[]): Promise<void> {
  await untilOldWorkersAreDone();
  await Promise.all(services.map(service => untilIdle(config, service)));
}

/** Seconds for requests to end, beyond the longest that Nginx waits for an answer. */
const SPARE_SECONDS = 5;
/** Seconds for one count. */
const COUNT_SECONDS = 3;
/** Seconds for `docker exec` itself, and in which Nginx can restart. */
const EXEC_SECONDS = 30;
const PAUSE = 1;

async function untilIdle(config: Config, service: string): Promise<void> {
  const seconds = nginxTimes().answer + SPARE_SECONDS;
  const end = performance.now() / 1000 + seconds + EXEC_SECONDS;
  for (;;) {
    const left = end - performance.now() / 1000;
    try {
      const found = await look(config, service, Math.max(Math.min(seconds, left - COUNT_SECONDS), 1));
      if (found === 'busy')
        log.warn(`${service} still answers requests after ${seconds} s, or does not count them; stopping it`);
      return;
    } catch (error) {
      // Only `busy` says that the time is over. Nginx may be restarting, and its container with it.
      if (!(error instanceof OperationalError) || error instanceof Interrupted || left < PAUSE) throw error;
      throwIfSignalled();
      log.info(`${error.message}; trying again`);
      await sleep(PAUSE);
    }
  }
}

/** @returns whether the instance had no requests within `seconds` */
function look(config: Config, service: string, seconds: number): Promise<string> {
  const count = `curl -fsS -m ${COUNT_SECONDS} http://${service}:3000/api/v1/metrics |
    awk '/^http_requests_in_flight[ {]/ { all += $NF; found = 1 } END { if (found) print all }'`;
  // By the clock, not by turns: a count that is not answered takes as long as curl waits for it.
  const script = `n=0; end=$(($(date +%s) + ${Math.ceil(seconds)})); while [ "$(date +%s)" -lt "$end" ]; do
    c=$(${count}); [ "$c" = 0 ] && n=$((n+1)) || n=0
    [ $n = 3 ] && echo idle && exit 0; sleep 0.5
  done; echo busy`;
  const timeout = seconds + COUNT_SECONDS + EXEC_SECONDS;
  return inNginx(config, script, `drain ${service}`, { timeout });
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
