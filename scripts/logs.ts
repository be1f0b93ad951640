#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { once } from 'node:events';
import { command, execute } from './lib/cli/command.ts';
import { Exit, OperationalError, usageError } from './lib/core/errors.ts';
import { redact } from './lib/core/redact.ts';
import { interrupt } from './lib/core/signals.ts';
import { type Entry, entryOf } from './lib/logs/entry.ts';
import { filterOf, isShown, sinceOf } from './lib/logs/filter.ts';
import { followLog, race } from './lib/logs/follow.ts';
import { merge, readLog, saying } from './lib/logs/log-lines.ts';
import { jsonLine, lineOf } from './lib/logs/render.ts';
import { type Source, sourcesOf } from './lib/logs/services.ts';
import { summarize } from './lib/logs/summary.ts';

export const logs = command({
  summary: 'Show the logs of Nginx and other containers, with a summary of the requests by status and path.',
  usage: [
    '[SERVICE…] [--since SPAN|TIME] [--status 5xx] [--path PATH] [--summary] [--json]',
    '[SERVICE…] [--status 5xx] [--path PATH] --follow [--json]',
  ],
  details:
    'SERVICE is nginx (the default), backend (all of them), backend-1, frontend, postgres, redis, backup, or all.\n' +
    'Times are in UTC. Nginx writes its log with a delay of up to 5 s. What a terminal would obey is shown by its code.',
  options: {
    since: { type: 'string', value: 'SPAN|TIME', help: 'from when on: 30m, 1h, 2d, or a time; default: 1h' },
    status: { type: 'string', value: 'STATUS', help: 'only requests with this status: 404, 5xx, or 4xx,5xx' },
    path: {
      type: 'string',
      value: 'PATH',
      help: 'only requests for this path and those below it; * is any text',
    },
    summary: { type: 'boolean', help: 'only the summary' },
    follow: { type: 'boolean', help: 'show what comes, until Ctrl+C; also after a container is replaced' },
  },
  examples: [
    ['logs.ts --since 24h --status 5xx --summary', 'which requests have failed since yesterday'],
    ['logs.ts --path /api/v1/auth --follow', 'who logs in'],
    ['logs.ts backend --since 10m', 'the logs of all backends, merged by time'],
    ['logs.ts --status 404 --json | jq -r .request.client', 'for another program: an object a line'],
  ],
  exitCodes: [
    [Exit.done, 'shown, also if there is nothing to show'],
    [Exit.failed, 'a log can’t be read, or the reader of the output has left'],
    [Exit.usage, 'wrong flags or configuration, or no such service'],
    [Exit.sigint, '--follow: ended by Ctrl+C, as intended'],
  ],
  positionals: 20,
  failed: error => {
    if (process.argv.includes('--json')) process.stdout.write(`${jsonLine({ error })}\n`);
    return { exitCode: error.exitCode, isWritten: true };
  },
  async run({ options, positionals, config: load }) {
    const filter = filterOf(options);
    const since = sinceOf(options.since ?? '1h');
    const wanted = positionals.length > 0 ? positionals : ['nginx'];
    if ((filter.status || filter.path) && !wanted.some(each => each === 'nginx' || each === 'all'))
      throw usageError('only Nginx’s log has a status and a path', 'name the service nginx, or none.');
    if (options.follow && options.summary)
      throw usageError("--follow can't be combined with --summary", 'leave one of them out.');
    const sources = await sourcesOf(load(), wanted);
    const { json } = options;
    const summary = summarize();
    const show = async (entry: Entry) => {
      if (!isShown(filter, entry)) return;
      summary.add(entry);
      if (!options.summary) await write(json ? jsonLine(entry) : lineOf(entry, sources.length));
    };
    const last = await showPast(sources, since, show);
    if (options.follow) await showComing(sources, since, last, show);
    const rows = summary.rows();
    if (json && options.summary) for (const row of rows) await write(jsonLine(row));
    const isUseful = options.summary || rows.length > 0;
    if (!json && isUseful) await write(`${options.summary ? '' : '\n'}${summary.text()}`);
    return { exitCode: options.follow ? Exit.sigint : Exit.done, isWritten: true };
  },
});

/** In the form of Docker's timestamps, so that the two compare as text. */
const dockerTime = (time: Date) => time.toISOString().replace('Z', '000000Z');

/** @returns the time of each service's last line */
async function showPast(sources: Source[], since: Date, show: (entry: Entry) => Promise<void>) {
  const last = new Map<string, string>();
  const from = dockerTime(since);
  const logs = sources.map(source =>
    entriesOf(source, readLog(source.container, { since: from, follow: false })),
  );
  for await (const entry of merge(logs)) {
    last.set(entry.service, entry.time);
    await show(entry);
  }
  interrupt.throwIfAborted();
  return last;
}

/** Until a signal comes. */
async function showComing(
  sources: Source[],
  since: Date,
  last: Map<string, string>,
  show: (entry: Entry) => Promise<void>,
) {
  const logs = sources.map(source =>
    entriesOf(source, followLog(source.container, last.get(source.service) ?? dockerTime(since))),
  );
  for await (const entry of race(logs)) await show(entry);
}

/** @throws OperationalError with what Docker says, where that is no line of the log */
async function* entriesOf({ service, container }: Source, lines: ReturnType<typeof readLog>) {
  for await (const line of lines) {
    if (line.time) yield entryOf(service, line.time, line.text + (line.isCut ? '…' : ''));
    else if (!interrupt.aborted)
      throw new OperationalError(
        `could not read the log of ${container}: ${saying(line)}`,
        './scripts/health-check.ts --only containers says what is wrong with it.',
      );
  }
}

/** Waits while the reader is slower: a log can be larger than the memory. */
async function write(line: string): Promise<void> {
  if (!process.stdout.write(`${redact(line)}\n`)) await once(process.stdout, 'drain', { signal: interrupt });
}

if (import.meta.main) await execute(logs);
