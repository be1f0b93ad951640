/* What is shown of entries: filters, the summary, and that nothing a visitor sends reaches a terminal as a command. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { entryOf } from '../../scripts/lib/logs/entry.ts';
import { filterOf, isShown, sinceOf } from '../../scripts/lib/logs/filter.ts';
import { jsonLine, lineOf } from '../../scripts/lib/logs/render.ts';
import { alike, summarize } from '../../scripts/lib/logs/summary.ts';
import { requestLine } from '../support/logs/docker-logs.ts';

const TIME = '2026-01-31T02:00:09.123456789Z';
const request = (fields = {}) => entryOf('nginx', TIME, requestLine(fields));

test('a request is one line; further servers and several services are named', () => {
  assert.is(
    lineOf(request(), 1),
    '2026-01-31 02:00:07 200  GET   api.acme.example/api/v1/topics  0.012 s  203.0.113.7  → 172.18.0.5:3000  Mozilla/5.0',
  );
  const tried = { status: 502, upstream: '172.18.0.5:3000, 172.18.0.6:3000', upstream_status: '502, 502' };
  assert.match(lineOf(request(tried), 2), /^\S+ \S+ nginx {6}502 .*→ 172\.18\.0\.5:3000, .*\(502, 502\)/);
  assert.match(lineOf(request({ upstream: '' }), 1), /\(not passed on\)/);
});

test('entries of programs: level, message, fields; text and broken JSON as they are', () => {
  const line = (text: string) => lineOf(entryOf('backend-1', TIME, text), 1);
  assert.is(
    line('{"level":50,"time":1,"msg":"no answer","pid":7,"err":{"code":"E"},"n":1}'),
    '2026-01-31 02:00:09 error no answer err={"code":"E"} n=1',
  );
  assert.is(line('{"level":"info","message":"ready"}'), '2026-01-31 02:00:09 info  ready');
  assert.is(line('{"half":'), '2026-01-31 02:00:09 {"half":');
  assert.is(line('plain'), '2026-01-31 02:00:09 plain');
  for (const odd of ['{}', '[1]', 'null', '{"msg":null,"level":{}}', '{"__proto__":1}', '{"toString":1}'])
    assert.match(line(odd), /^2026-01-31 02:00:09/, odd);
  // Of Nginx, only what is a request is one.
  for (const odd of [
    '{"status":"200","path":"/"}',
    '{"status":200}',
    '{"path":"/"}',
    '{"status":200,"path":7}',
  ])
    assert.is(entryOf('nginx', TIME, odd).request, undefined, odd);
});

/** Every control character, escape sequences, and characters that turn text around or are not seen. */
const HOSTILE = [
  ...Array.from({ length: 32 }, (_, code) => String.fromCharCode(code)),
  ...Array.from({ length: 33 }, (_, code) => String.fromCharCode(127 + code)),
  ...[
    '\x1b[2J\x1b[31m',
    '\x1b]0;title\x07',
    '\x1b]8;;http://evil.example\x1b\\',
    '\x9b31m',
    '\u202e',
    '\u2066',
  ],
  ...['\u200b', '\u2028', '\u2029', '\ufeff', '\u{e0041}', '\ud800'],
];
const OBEYED = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

test('nothing that a visitor or a program writes is obeyed by a terminal', () => {
  for (const each of HOSTILE) {
    for (const field of [
      'path',
      'agent',
      'method',
      'host',
      'client',
      'upstream',
      'upstream_status',
      'time',
    ]) {
      const entry = request({ [field]: `/a${each}b,` });
      assert.not.match(lineOf(entry, 1), OBEYED, `${field} ${JSON.stringify(each)}`);
      const summary = summarize();
      summary.add(entry);
      assert.not.match(summary.text().replaceAll('\n', ''), OBEYED);
    }
    const lines = [each, JSON.stringify({ msg: each, level: each, [each]: each })].map(text =>
      entryOf('backend-1', TIME, text),
    );
    for (const entry of [...lines, request({ path: each })]) {
      assert.not.match(lineOf(entry, 1), OBEYED);
      const json = jsonLine(entry);
      assert.not.match(json, OBEYED);
      if (each !== '\ud800') assert.equal(JSON.parse(json), JSON.parse(JSON.stringify(entry)));
    }
  }
});

test('long fields are cut, so that a line stays a line', () => {
  const long = 'x'.repeat(200_000);
  assert.ok(
    lineOf(request({ path: `/${long}`, agent: long, host: long, client: long, method: long }), 1).length <
      1000,
  );
  assert.ok(lineOf(entryOf('backend-1', TIME, JSON.stringify({ msg: long, a: long })), 1).length < 3000);
  assert.ok(lineOf(entryOf('backend-1', TIME, long), 1).length < 3000);
});

test('--status and --path choose requests', () => {
  const shows = (flags: { status?: string; path?: string }, fields: object) =>
    isShown(filterOf(flags), request(fields));
  for (const [status, yes, no] of [
    ['5xx', [500, 502, 599], [200, 404, 50]],
    ['404', [404], [40, 4040, 200]],
    ['404,5XX', [404, 503], [400, 302]],
  ] as const) {
    for (const each of yes) assert.ok(shows({ status }, { status: each }), `${status} ${each}`);
    for (const each of no) assert.not(shows({ status }, { status: each }), `${status} ${each}`);
  }
  for (const [path, yes, no] of [
    ['/api', ['/api', '/api/', '/api/v1'], ['/apis', '/', '/x/api']],
    ['/api/', ['/api', '/api/v1'], ['/apis']],
    ['/', ['/', '/api'], []],
    ['*.php', ['/a.php', '/wp/login.php', '/a.php/b'], ['/a.phpx', '/aphp']],
    ['/a+b(', ['/a+b(', '/a+b(/c'], ['/aab(']],
  ] as const) {
    for (const each of yes) assert.ok(shows({ path }, { path: each }), `${path} ${each}`);
    for (const each of no) assert.not(shows({ path }, { path: each }), `${path} ${each}`);
  }
  assert.not(isShown(filterOf({ status: '5xx' }), entryOf('nginx', TIME, 'an error')));
  assert.ok(isShown(filterOf({}), entryOf('nginx', TIME, 'an error')));
  for (const wrong of [
    { status: '6xx' },
    { status: '' },
    { status: '5' },
    { status: '5xx,' },
    { path: 'api' },
  ])
    assert.throws(() => filterOf(wrong), /--(status|path) takes/);
});

test('--since is a span or a time that is the same everywhere', () => {
  const now = Date.UTC(2026, 0, 31, 12);
  const cases: Record<string, string> = {
    '90s': '2026-01-31T11:58:30.000Z',
    '30m': '2026-01-31T11:30:00.000Z',
    '24h': '2026-01-30T12:00:00.000Z',
    '2d': '2026-01-29T12:00:00.000Z',
    '2026-01-30': '2026-01-30T00:00:00.000Z',
    '2026-01-30T01:00+02:00': '2026-01-29T23:00:00.000Z',
    '2026-01-30T01:00:00.5Z': '2026-01-30T01:00:00.500Z',
  };
  for (const [text, time] of Object.entries(cases)) {
    if (text === '2026-01-30T01:00:00') continue;
    assert.is(sinceOf(text, now).toISOString(), time, text);
  }
  for (const wrong of [
    '',
    '1',
    '1w',
    '-1h',
    '1.5h',
    'yesterday',
    '2026-13-01',
    '2026-01-30 01:00',
    '12345678h',
  ])
    assert.throws(() => sinceOf(wrong, now), /--since takes/, wrong);
});

test('the summary counts by status and path; ids are alike, and paths without end are one row', () => {
  const summary = summarize();
  for (let i = 0; i < 30; i++) summary.add(request({ path: `/api/v1/topics/${i}`, seconds: i / 10 }));
  summary.add(request({ path: '/api/v1/topics/7', status: 502, seconds: 3 }));
  summary.add(entryOf('nginx', TIME, 'an error'));
  const [first, second] = summary.rows();
  assert.equal(
    [first!.count, first!.path, first!.status, first!.slowest],
    [30, 'GET /api/v1/topics/*', 200, 2.9],
  );
  assert.equal([second!.count, second!.status], [1, 502]);
  assert.match(summary.text(), /^ {6}30 {5}200 {2}GET \/api\/v1\/topics\/\* {2}1\.450 s {2}2\.900 s$/m);
  assert.match(summary.text(), /\n31 requests: 30 2xx, 1 5xx; 1 other line$/);
  for (const [path, same] of [
    ['/a/123/b', '/a/*/b'],
    ['/a/0b5e6c1e-1111-4222-8333-444455556666', '/a/*'],
    ['/assets/style-5ea6db4e.css', '/assets/style-5ea6db4e.css'],
    ['/u/cjld2cjxh0000qzrmn831i7rn', '/u/*'],
    ['/a-long-name-of-a-page-in-words', '/a-long-name-of-a-page-in-words'],
  ] as const)
    assert.is(alike(path), same);
  const flood = summarize();
  for (let i = 0; i < 20_000; i++) flood.add(request({ path: `/word${i}x`, status: 404 }));
  assert.is(flood.rows().length, 10_001);
  assert.equal([flood.rows()[0]!.path, flood.rows()[0]!.count], ['(other paths)', 10_000]);
  assert.match(flood.text(), /and 9,981 more rows: --json shows all\n20,000 requests: 20,000 4xx$/);
  assert.is(summarize().text(), '0 requests');
});

test.run();
