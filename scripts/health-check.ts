#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { command, execute } from './lib/cli/command.ts';
import type { Config } from './lib/config/config.ts';
import { Exit, usageError } from './lib/core/errors.ts';
import { terminalWidth } from './lib/core/format.ts';
import { logTo } from './lib/core/log.ts';
import { allChecks } from './lib/health/all-checks.ts';
import type { Check, CheckResult } from './lib/health/check.ts';
import {
  formatNagios,
  formatTable,
  isBad,
  jsonReport,
  nagiosText,
  OVERALL,
  overallOf,
} from './lib/health/report.ts';
import { runChecks } from './lib/health/runner.ts';
import { WATCH_SECONDS, watch } from './lib/health/watch.ts';
import { notifyChange } from './lib/notify/on-change.ts';

export const healthCheck = command({
  summary: 'Check the stack, database, certificate, backups, disk, memory and clock.',
  usage: [
    '[--env production|staging] [--only NAMES] [--verbose] [--json | --nagios] [--notify]',
    '[--env production|staging] [--only NAMES] [--verbose] --watch',
  ],
  details:
    'Changes nothing. Each line has its page in docs/RUNBOOK.md. A line that is not configured counts as OK.',
  options: {
    only: { type: 'string', value: 'NAMES', help: 'only these lines, separated by commas' },
    verbose: { type: 'boolean', help: 'also show values, thresholds, durations and what to do' },
    nagios: { type: 'boolean', help: 'one line, as Nagios and Icinga read it' },
    notify: { type: 'boolean', help: 'send a message when the state has changed' },
    watch: { type: 'boolean', help: `redraw every ${WATCH_SECONDS} s, until Ctrl+C` },
  },
  examples: [
    ['health-check.ts', 'the state of production'],
    ['health-check.ts --only postgres,backup --verbose', 'two lines, with values and thresholds'],
    ['health-check.ts --notify', 'as cron runs it'],
    ['health-check.ts --json | jq -r .overall_status', 'for another program'],
  ],
  exitCodes: [
    [OVERALL.ok.code, 'OK; includes lines that are not configured'],
    [OVERALL.warning.code, 'warning'],
    [OVERALL.critical.code, 'critical'],
    [OVERALL.unknown.code, 'unknown; wrong flags or configuration'],
    [Exit.sigint, '--watch: ended by Ctrl+C, as intended'],
  ],
  failed: ({ message, hint }) => ({
    exitCode: OVERALL.unknown.code,
    text: process.argv.includes('--nagios') ? `UNKNOWN - ${nagiosText(message)}` : undefined,
    json: {
      ...jsonReport(undefined, 'unknown', []),
      error: { message, hint, exitCode: OVERALL.unknown.code },
    },
  }),
  async run({ options, config: load }) {
    const config = load();
    if (options.notify && options.only)
      throw usageError("--notify can't be combined with --only", 'leave --only out.');
    if (options.notify) logTo(`${config.logDir}/health-check.log`);
    const check = () => runChecks(select(allChecks(config), options.only));
    const { environment } = config;
    const format = (results: CheckResult[], seconds: number) =>
      formatTable(results, {
        environment,
        verbose: options.verbose,
        columns: terminalWidth(),
        seconds,
      });
    if (options.watch) return watch(check, format);
    const started = performance.now();
    const results = await check();
    const overall = overallOf(results);
    if (options.notify) await notifyResults(config, results);
    return {
      exitCode: OVERALL[overall].code,
      text: options.nagios ? formatNagios(results) : format(results, (performance.now() - started) / 1000),
      json: jsonReport(environment, overall, results),
    };
  },
});

/** @param names of lines, or of pages that several lines share, separated by commas */
function select(checks: Check[], names: string | undefined): Check[] {
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

async function notifyResults(config: Config, results: CheckResult[]): Promise<void> {
  const critical = results.filter(({ status }) => status === 'critical').map(({ name }) => name);
  const details = results
    .filter(isBad)
    .map(({ name, status, message, page }) => `${status} ${name}: ${message} → docs/RUNBOOK.md#${page}`);
  const { json: status, code: exitCode } = OVERALL[overallOf(results)];
  await notifyChange(config, 'health', { status, lines: critical, exitCode }, details);
}

if (import.meta.main) await execute(healthCheck);
