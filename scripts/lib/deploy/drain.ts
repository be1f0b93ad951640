import type { Config } from '../config/config.ts';
import { Interrupted, OperationalError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { sleep, throwIfSignalled } from '../core/signals.ts';
import { inNginx, nginxTimes } from '../nginx/reload.ts';

/**
 * Waits until instances that are out of the list have finished their requests: Nginx's old workers send no more, and
 * the instance's own count is 0 three times in a row. For an instance that does not tell its count, Nginx's own connections
 * to it count instead. If it does not reach 0 in time, that is a warning.
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

/** The runs that have said how they drain: once is enough. */
const explained = new WeakSet<Config>();

async function untilIdle(config: Config, service: string): Promise<void> {
  const seconds = nginxTimes().answer + SPARE_SECONDS;
  const end = performance.now() / 1000 + seconds + EXEC_SECONDS;
  for (;;) {
    const left = end - performance.now() / 1000;
    try {
      const allowed = Math.max(Math.min(seconds, left - COUNT_SECONDS), 1);
      const [found, by] = (await look(config, service, allowed)).split(' ');
      if (by === 'connections') explain(config, service);
      if (found === 'busy')
        log.warn(`${service} still has ${by} after ${seconds} s; stopping it, which ends them`);
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

function explain(config: Config, service: string): void {
  if (explained.has(config)) return;
  explained.add(config);
  const { metricsPath } = config.contract;
  const why = metricsPath
    ? `${metricsPath} of ${service} has no http_requests_in_flight`
    : 'METRICS_PATH is none';
  log.info(
    `${why}: an instance is drained when Nginx has no open request to it, and finishes the rest itself`,
  );
}

/*
 * In /proc/net/tcp, state 01 is an open connection and 02 one that is being opened, and a timer of 02 is that of keepalive:
 * https://docs.kernel.org/networking/proc_net_tcp.html. nginx/snippets/socket.conf switches it on for WebSockets and for
 * Socket.IO's polling, which do not end by themselves: they end with the instance. Idle connections do not count either:
 * Nginx's old workers close theirs at once, and the others never had one to an instance that is not in their list.
 */
const connectionsTo = (service: string, port: number): string => `
  for ip in $(getent ahostsv4 ${service} | cut -d ' ' -f 1 | sort -u); do
    cat /proc/net/tcp | awk -v "to=$(printf '%02X' $(echo "$ip" | tr . '\\n' | tac)):${hex(port)}" '
      $3 == to && ($4 == "01" || $4 == "02") && $6 !~ /^02/ { n++ } END { print n + 0 }'
  done | awk '{ all += $1 } END { if (NR) print all }'`;

const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0');

/** @returns `idle`, when the instance had no requests within `seconds`, else `busy`; and what was counted */
function look(config: Config, service: string, seconds: number): Promise<string> {
  const { metricsPath, ports } = config.contract;
  const count = `curl -fsS -m ${COUNT_SECONDS} http://${service}:${ports.backend}${metricsPath} |
    awk '/^http_requests_in_flight[ {]/ { all += $NF; found = 1 } END { if (found) print all }'`;
  // By the clock, not by turns: a count that is not answered takes as long as curl waits for it.
  const script = `n=0; end=$(($(date +%s) + ${Math.ceil(seconds)})); while [ "$(date +%s)" -lt "$end" ]; do
    by=requests; c=${metricsPath ? `$(${count})` : ''}
    [ -n "$c" ] || { by=connections; c=$(${connectionsTo(service, ports.backend)}); }
    [ "$c" = 0 ] && n=$((n+1)) || n=0
    [ $n = 3 ] && echo "idle $by" && exit 0; sleep 0.5
  done; echo "busy $by"`;
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
