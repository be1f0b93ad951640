#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { command, execute } from './lib/cli/command.ts';
import type { Config } from './lib/config/config.ts';
import { usageError } from './lib/core/errors.ts';
import { logTo } from './lib/core/log.ts';
import type { Check, Result } from './lib/health/check.ts';
import { backends } from './lib/health/checks/backends.ts';
import { backupHere, backupInS3 } from './lib/health/checks/backup.ts';
import { certificate } from './lib/health/checks/certificate.ts';
import { clock } from './lib/health/checks/clock.ts';
import { containers } from './lib/health/checks/containers.ts';
import { disk } from './lib/health/checks/disk.ts';
import { memory } from './lib/health/checks/memory.ts';
import { postgres } from './lib/health/checks/postgres.ts';
import { api, frontend } from './lib/health/checks/public.ts';
import { redis } from './lib/health/checks/redis.ts';
import { listContainers } from './lib/health/docker.ts';
import {
  drawNagios,
  drawTable,
  isBad,
  nagiosText,
  OVERALL,
  overallOf,
  reportOf,
} from './lib/health/report.ts';
import { once, runChecks } from './lib/health/runner.ts';
import { WATCH_SECONDS, watch } from './lib/health/watch.ts';
import { notifyChange } from './lib/notify/on-change.ts';

/** The report's lines, in this order. */
export function checksOf(config: Config): Check[] {
  const list = once(() => listContainers(config));
  return [
    api(config),
    frontend(config),
    ...backends(config, list),
    postgres(config),
    redis(config),
    containers(config, list),
    certificate(config),
    backupHere(config),
    backupInS3(config),
    disk(config),
    memory(),
    clock(config),
  ];
}

export const healthCheck = command({
  summary: 'Say how everything is: stack, database, certificate, backups, disk, clock.',
  usage: [
    '[--env production|staging] [--only NAMES] [--verbose] [--json | --nagios] [--notify]',
    '[--env production|staging] [--only NAMES] [--verbose] --watch',
  ],
  details:
    'Changes nothing. Each line has its page in docs/RUNBOOK.md; what is not configured is said and does no harm.',
  options: {
    only: { type: 'string', value: 'NAMES', help: 'some of the lines, separated by commas' },
    verbose: { type: 'boolean', help: 'also values, thresholds, times and what to do' },
    nagios: { type: 'boolean', help: 'one line, as Nagios and Icinga read it' },
    notify: { type: 'boolean', help: 'tell people when the state is another than last time' },
    watch: { type: 'boolean', help: `draw it anew every ${WATCH_SECONDS} s, until Ctrl+C` },
  },
  examples: [
    ['health-check.ts', 'how is production?'],
    ['health-check.ts --only postgres,backup --verbose', 'a closer look'],
    ['health-check.ts --notify', 'as cron runs it'],
    ['health-check.ts --json | jq -r .overall_status', 'for another program'],
  ],
  exitCodes: [
    [OVERALL.ok.code, 'all is well; what is not configured counts as well'],
    [OVERALL.warning.code, 'something needs attention soon'],
    [OVERALL.critical.code, 'something does not work'],
    [OVERALL.unknown.code, 'something can’t be told; wrong flags or configuration'],
  ],
  failed: ({ message, hint }) => ({
    exitCode: OVERALL.unknown.code,
    text: process.argv.includes('--nagios') ? `UNKNOWN - ${nagiosText(message)}` : undefined,
    json: { ...reportOf(undefined, 'unknown', []), error: { message, hint, exitCode: OVERALL.unknown.code } },
  }),
  async run({ options, config: load }) {
    const config = load();
    if (options.notify && options.only)
      throw usageError('--notify tells of the whole, not of some lines', 'leave --only out.');
    if (options.notify) logTo(`${config.logDir}/health-check.log`);
    const look = () => runChecks(choose(checksOf(config), options.only));
    const { environment } = config;
    const draw = (results: Result[], seconds: number) =>
      drawTable(results, { environment, verbose: options.verbose, columns: process.stdout.columns, seconds });
    if (options.watch) return watch(look, draw);
    const started = performance.now();
    const results = await look();
    const overall = overallOf(results);
    if (options.notify) await tell(config, results);
    return {
      exitCode: OVERALL[overall].code,
      text: options.nagios ? drawNagios(results) : draw(results, (performance.now() - started) / 1000),
      json: reportOf(environment, overall, results),
    };
  },
});

/** @param names of lines, or of the pages that several of them share */
function choose(checks: Check[], names: string | undefined): Check[] {
  if (names === undefined) return checks;
  const wanted = names.split(',').map(name => name.trim());
  const matches = (check: Check, name: string) => check.name === name || check.page === name;
  const wrong = wanted.filter(name => !checks.some(check => matches(check, name)));
  if (wrong.length > 0) {
    const all = checks.map(({ name }) => name).join(', ');
    throw usageError(
      `there is no check ${wrong.map(name => JSON.stringify(name)).join(', ')}`,
      `use ${all}.`,
    );
  }
  return checks.filter(check => wanted.some(name => matches(check, name)));
}

async function tell(config: Config, results: Result[]): Promise<void> {
  const critical = results.filter(({ status }) => status === 'critical').map(({ name }) => name);
  const details = results
    .filter(isBad)
    .map(({ name, status, message, page }) => `${status} ${name}: ${message} → docs/RUNBOOK.md#${page}`);
  const { json: status, code: exitCode } = OVERALL[overallOf(results)];
  await notifyChange(config, 'health', { status, lines: critical, exitCode }, details);
}

if (import.meta.main) await execute(healthCheck);
