/* The pure functions of the health check. test/integration and test/stack break what it checks. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { wrap } from '../../scripts/lib/core/format.ts';
import { type CheckResult, grade, type Status, summarize } from '../../scripts/lib/health/check.ts';
import { limits } from '../../scripts/lib/health/checks/backup.ts';
import { assessRedis, parseInfo } from '../../scripts/lib/health/checks/redis.ts';
import { formatNagios, formatTable, overallOf } from '../../scripts/lib/health/report.ts';

const line = (name: string, status: Status, more: Partial<CheckResult> = {}): CheckResult => ({
  name,
  page: name,
  status,
  message: `${name} is ${status}`,
  ms: 1,
  ...more,
});

test('the overall status: critical, warning, unknown, ok; not configured counts as ok', () => {
  const overall = (...statuses: Status[]) => overallOf(statuses.map(status => line('x', status)));
  assert.is(overall('ok', 'unknown', 'warning', 'critical'), 'critical');
  assert.is(overall('ok', 'unknown', 'warning'), 'warning');
  assert.is(overall('ok', 'unknown', 'not configured'), 'unknown');
  assert.is(overall('ok', 'not configured'), 'ok');
});

test('of several remarks the worst decides the status and comes first', () => {
  assert.equal(
    summarize([
      ['ok', 'a'],
      ['warning', 'b'],
      ['critical', 'c'],
    ]),
    { status: 'critical', message: 'c; b', faults: ['c'] },
  );
  assert.equal(
    summarize([
      ['ok', 'a'],
      ['ok', 'b'],
    ]),
    { status: 'ok', message: 'a; b' },
  );
});

test('a value that equals a threshold reaches it; less is worse where the critical one is lower', () => {
  const up = { warning: 80, critical: 90 };
  assert.equal(
    [79, 80, 89, 90].map(value => grade(value, up)),
    ['ok', 'warning', 'warning', 'critical'],
  );
  const down = { warning: 20, critical: 10 };
  assert.equal(
    [20, 19, 10, 9].map(value => grade(value, down)),
    ['ok', 'warning', 'warning', 'critical'],
  );
});

test('a backup is missed an hour after its scheduled time', () => {
  const daily = {
    schedule: {
      backup: '0 2 * * *',
      certificates: 'off',
      drill: 'off',
      'health-check': 'off',
      'load-check': 'off',
      weekly: 'off',
    },
    rpo: 86_400,
  };
  const hours = (now: string, config = daily) => {
    const { warning, critical } = limits(config, new Date(now));
    return [warning / 3600, critical / 3600];
  };
  assert.equal(hours('2026-03-29T12:00:00Z'), [10, 34]);
  assert.equal(hours('2026-03-29T02:59:00Z').map(Math.round), [25, 49], 'still within the hour');
  assert.equal(hours('2026-03-29T03:00:01Z').map(Math.round), [1, 25]);
  const every6 = { ...daily, schedule: { ...daily.schedule, backup: '0 */6 * * *' } };
  assert.equal(hours('2026-03-29T12:30:00Z', every6), [6.5, 12.5]);
  assert.equal(
    hours('2026-03-29T12:30:00Z', { ...daily, schedule: { ...daily.schedule, backup: 'off' } }),
    [24, 24],
  );
});

test('Redis: the fields of INFO', () => {
  const info = (changes: Record<string, string> = {}) => {
    const healthy = {
      redis_version: '7.2.11',
      role: 'master',
      loading: '0',
      used_memory: '100',
      maxmemory: '1000',
      rdb_last_bgsave_status: 'ok',
      aof_last_write_status: 'ok',
    };
    const text = Object.entries({ ...healthy, ...changes }).map(field => field.join(':'));
    return assessRedis(parseInfo(`# Server\r\n${text.join('\r\n')}\r\n`));
  };
  assert.equal([info().status, info().value], ['ok', 10]);
  assert.is(info({ used_memory: '800' }).status, 'warning');
  assert.is(info({ used_memory: '950' }).status, 'critical');
  assert.is(info({ maxmemory: '0' }).status, 'warning');
  assert.is(info({ role: 'slave' }).status, 'warning');
  assert.is(info({ loading: '1' }).status, 'warning');
  assert.match(
    info({ rdb_last_bgsave_status: 'err', role: 'slave' }).message,
    /^saving a snapshot fails.*replica/,
  );
  assert.is(info({ aof_last_write_status: 'err' }).status, 'critical');
});

test('Nagios: one line, no line breaks or bars in the text, values with thresholds', () => {
  const results = [
    line('postgres', 'critical', { message: 'a | b\n  c' }),
    line('disk', 'ok', { value: 45, unit: '%', thresholds: { warning: 80, critical: 90 } }),
    line('memory', 'warning', { value: 15, unit: '%', thresholds: { warning: 20, critical: 10 } }),
    line('api', 'ok', { value: 12, unit: 'ms' }),
  ];
  assert.is(
    formatNagios(results),
    "CRITICAL - postgres: a / b c; memory: memory is warning|'disk'=45%;80;90 'memory'=15%;20:;10: 'api'=12ms",
  );
  assert.is(formatNagios([line('x', 'ok')]), 'OK - 1 check, nothing wrong');
});

test('what to do is in one line, whatever the width: a command that is cut can not be pasted', () => {
  const hint = `docker compose up -d --no-recreate backend-1, then ${'x'.repeat(80)}`;
  const results = [line('backend-1', 'critical', { hint })];
  const shape = { environment: 'staging', columns: 60, seconds: 0.8, verbose: true };
  assert.ok(formatTable(results, shape).includes(hint));
});

test('the table wraps long sentences in their column and keeps the order', () => {
  const message = 'one two three four five six seven eight nine ten eleven twelve thirteen fourteen';
  const results = [line('api', 'ok'), line('postgres', 'critical', { message })];
  const text = formatTable(results, { environment: 'staging', columns: 80, seconds: 0.8 });
  const lines = text.split('\n');
  for (const each of lines) assert.ok(each.length <= 80, each);
  assert.match(lines[0]!, /^✓ ok {14}api {7}api is ok$/);
  assert.match(lines[1]!, /^✗ critical {8}postgres {2}one two/);
  assert.match(lines[2]!, /^ {28}\S/);
  assert.match(text, /→ docs\/RUNBOOK\.md#postgres/);
  assert.is(lines.at(-1), 'staging is CRITICAL: 1 critical, 1 ok, in 0.8 s');
  assert.equal(wrap('a-word-that-is-much-longer-than-that b', 20), [
    'a-word-that-is-much-longer-than-that',
    'b',
  ]);
});

test.run();
