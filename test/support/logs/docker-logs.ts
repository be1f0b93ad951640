/** A `docker` that has logs in files, each line with its timestamp; what the real one does is in test/stack/logs.test.ts. */
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROGRAM = `#!/bin/bash
here=$(dirname "$0")
case $1 in
container) ls "$here" | sed -n 's/\\.log$//p' ;;
logs)
  shift
  follow=
  while [[ $1 == --* ]]; do
    case $1 in --since) shift ;; --follow) follow=1 ;; esac
    shift
  done
  [ -e "$here/$1.log" ] || { echo "Error response from daemon: No such container: $1" >&2; exit 1; }
  [ "$follow" ] || exec cat "$here/$1.log"
  echo $$ >"$here/client"
  tail --lines=+1 --follow "$here/$1.log" &
  trap 'kill $!; exit' TERM
  until [ -e "$here/$1.stopped" ]; do sleep 0.1; done
  rm "$here/$1.stopped"
  kill $!
  ;;
esac
`;

export interface DockerLogs {
  env: Record<string, string>;
  /** Adds lines, as the container writes them, a second after each other. */
  write: (service: string, ...lines: (string | Buffer)[]) => void;
  /** The container stops, and is gone; the next one of its name begins with an empty log. */
  replace: (service: string) => void;
  /** The process that follows a log, if one ever did. */
  client: () => string | undefined;
  stop: () => void;
}

export function dockerLogs(): DockerLogs {
  const directory = mkdtempSync(join(tmpdir(), 'docker-logs-'));
  writeFileSync(join(directory, 'docker'), PROGRAM, { mode: 0o755 });
  const path = (service: string, end: string) => join(directory, `shop-${service}-production.${end}`);
  let seconds = 0;
  return {
    env: { PATH: `${directory}:/usr/bin:/bin`, HOME: directory, APP_NAME: 'shop', STATE_DIR: directory },
    write(service, ...lines) {
      for (const line of lines) {
        const time = new Date(Date.UTC(2026, 0, 31, 2) + ++seconds * 1000).toISOString();
        const stamp = time.replace('Z', '123456Z ');
        appendFileSync(
          path(service, 'log'),
          Buffer.concat([Buffer.from(stamp), Buffer.from(line), Buffer.from('\n')]),
        );
      }
    },
    replace(service) {
      rmSync(path(service, 'log'));
      writeFileSync(path(service, 'stopped'), '');
    },
    client: () =>
      existsSync(join(directory, 'client')) ? readFileSync(join(directory, 'client'), 'utf8') : undefined,
    stop: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** A line of Nginx's access log, in the format of nginx/snippets/logging.conf. */
export function requestLine(fields: Record<string, unknown> = {}): string {
  return JSON.stringify({
    time: '2026-01-31T02:00:07+00:00',
    id: '4f1c',
    client: '203.0.113.7',
    method: 'GET',
    host: 'api.acme.example',
    path: '/api/v1/topics',
    status: 200,
    bytes: 512,
    seconds: 0.012,
    upstream: '172.18.0.5:3000',
    upstream_status: '200',
    agent: 'Mozilla/5.0',
    ...fields,
  });
}
