/* The crontab's lines: in any zone, on either side of a change of the clock, they fire when cron-parser says, in UTC. */
import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { cronProblem, cronTimes } from '../../scripts/lib/core/cron.ts';
import {
  block,
  crontabLine,
  quoteForCron,
  timing,
  withoutBlock,
} from '../../scripts/lib/schedule/crontab-lines.ts';

const EXPRESSIONS = [
  '0 2 * * *',
  '*/5 * * * *',
  '*/7 * * * *',
  '0 4 1 1,4,7,10 *',
  '50 23 * * *',
  '7 * * * *',
  '0,1,17,59 */3 * * *',
  '* 1-3 * * *',
  '15-40/7 1-3 */2 * mon-fri',
  '30 1 * * 0',
  '30 1 * * 7',
  '0 0 1-7 * 5-7',
  '0 12 13 * 5',
  '0 12 1-31 * 5',
  '5/20 0,12 * mar,oct sun,wed',
];

/** Weeks with a change of the clock in most of these zones, one direction each. */
const WEEKS = ['2026-03-24', '2026-10-20'];
const ZONES = [
  'UTC',
  'Europe/Paris',
  'Asia/Kolkata',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'America/St_Johns',
];
const MINUTE = 60_000;
const SPAN = 15 * 24 * 60 * MINUTE;
const inUtc = (instant: number) => new Date(instant).toISOString();

/** The minute of the hour on the wall, as cron compares it, for each minute from `start` on. */
function wallMinutes(zone: string, start: number): number[] {
  const format = new Intl.DateTimeFormat('en', { timeZone: zone, minute: 'numeric' });
  const minutes: number[] = [];
  // Zones change at quarters of an hour.
  for (let quarter = start; quarter < start + SPAN; quarter += 15 * MINUTE) {
    const first = Number(format.format(quarter));
    for (let minute = 0; minute < 15; minute++) minutes.push(first + minute);
  }
  return minutes;
}

function matches(field: string): (minute: number) => boolean {
  const step = /^\*(?:\/(\d+))?$/.exec(field);
  if (step) return minute => minute % Number(step[1] ?? 1) === 0;
  const list = field.split(',').map(Number);
  return minute => list.includes(minute);
}

/** What `date -u '+%-M %-H %-d %-m %w'` prints. */
function utcClock(instant: number): string {
  const date = new Date(instant);
  return [
    date.getUTCMinutes(),
    date.getUTCHours(),
    date.getUTCDate(),
    date.getUTCMonth() + 1,
    date.getUTCDay(),
  ].join(' ');
}

/** What is the same for every expression: what `date` prints each minute, and what clocks on walls show. */
const SPANS = WEEKS.map(week => {
  const start = Date.parse(week);
  return {
    start,
    printed: Array.from({ length: SPAN / MINUTE }, (_, minute) => utcClock(start + minute * MINUTE)),
    walls: ZONES.map(zone => ({ zone, minutes: wallMinutes(zone, start) })),
  };
});

for (const expression of EXPRESSIONS) {
  test(`${expression}: fires at its times in UTC, in every zone`, () => {
    const { fields, guard } = timing(expression);
    assert.is(fields.split(' ').slice(1).join(' '), '* * * *');
    const matching = matches(fields.split(' ')[0]!);
    const due = Array.from({ length: 60 }, (_, minute) => matching(minute));
    const whole = guard && new RegExp(`^(?:${guard})$`);
    for (const { start, printed, walls } of SPANS) {
      const expected: number[] = [];
      const times = cronTimes(expression, new Date(start - 1));
      for (let at = times.next(); at.getTime() < start + SPAN; at = times.next()) expected.push(at.getTime());
      const open = new Map<number, boolean>(); // zones ask for the same minutes
      const isOpen = (minute: number) => {
        if (!whole) return true;
        const known = open.get(minute) ?? whole.test(printed[minute]!);
        open.set(minute, known);
        return known;
      };
      for (const { zone, minutes } of walls) {
        const fired: number[] = [];
        for (let minute = 0; minute < minutes.length; minute++)
          if (due[minutes[minute]!] && isOpen(minute)) fired.push(start + minute * MINUTE);
        if (fired.join() !== expected.join()) assert.equal(fired.map(inUtc), expected.map(inUtc), zone);
      }
    }
  });
}

test('a schedule that is the same in every zone stays as it is; any other asks the clock', () => {
  for (const plain of ['*/5 * * * *', '* * * * *', '*/15 * * * *', '*/3 * * * *'])
    assert.equal(timing(plain), { fields: plain });
  for (const guarded of ['*/7 * * * *', '0 * * * *', '*/5 2 * * *', '*/5 * 1 * *', '*/5 * * * 1'])
    assert.ok(timing(guarded).guard, guarded);
});

test('a server that stops for minutes at two o’clock still makes the backup, once', () => {
  const whole = new RegExp(`^(?:${timing('0 2 * * *').guard})$`);
  const at = (minute: number, hour: number) => whole.test(`${minute} ${hour} 5 6 0`);
  assert.ok(at(0, 2) && at(4, 2) && at(14, 2));
  assert.not.ok(at(15, 2) || at(30, 2) || at(59, 1) || at(0, 3));
});

test('the clock that the guard asks is that of date(1) and grep(1)', () => {
  for (const [instant, expression, matching] of [
    ['2026-03-01T02:00:59Z', '0 2 * * 0', true],
    ['2026-03-01T02:16:00Z', '0 2 * * 0', false],
    ['2026-03-13T12:08:00Z', '0 12 13 * 0', true],
    ['2026-03-15T12:08:00Z', '0 12 13 * 0', true],
    ['2026-03-14T12:08:00Z', '0 12 13 * 0', false],
    ['2026-12-09T08:09:00Z', '9 8 9 12 *', true],
  ] as const) {
    const script = `date -u -d '${instant}' '+%-M %-H %-d %-m %w' | grep -Eqx '${timing(expression).guard}'`;
    const { status } = spawnSync('sh', ['-c', script], { env: { PATH: '/usr/bin:/bin', LC_ALL: 'fr_FR' } });
    assert.is(status, matching ? 0 : 1, `${instant} ${expression}`);
  }
});

/** What cron makes of a line's command before sh gets it: `\%` is %, and a bare % ends it. */
const throughCron = (command: string) => {
  assert.not.match(command, /(?<!\\)%/);
  return command.replaceAll('\\%', '%');
};

test('paths come through cron and sh as they are', () => {
  for (const path of ['/opt/x', "/o p/it's", '/100%/%-M', '/back\\slash', '/end\\%', '/"$(id)`id`"', '/ü']) {
    const { stdout } = spawnSync('sh', [
      '-c',
      throughCron(`printf %s ${quoteForCron(path)}`.replace(' %s', ' \\%s')),
    ]);
    assert.is(stdout.toString(), path);
  }
  assert.throws(() => quoteForCron('/a\nb'), /line break/);
});

const JOB = {
  name: 'backup' as const,
  expression: '0 2 * * *',
  argv: ['/opt/x/scripts/backup.ts', '--env', 'production'],
};

test('a line that is too long for cron is refused', () => {
  const worst = {
    ...JOB,
    expression: '1-59/2 1-23/2 1-31/2 1-11/2 1-5',
    argv: [`${ROOT}/scripts/backup.ts`],
  };
  assert.match(crontabLine(worst, `${ROOT}/logs/cron.log`), /backup\.ts/);
  const lineOf = (length: number) => crontabLine({ ...JOB, argv: [`/ü${'x'.repeat(length)}`] }, '/log');
  const command = (line: string) => line.split(' ').slice(5).join(' ');
  const spare = 998 - Buffer.byteLength(command(lineOf(0)));
  assert.is(Buffer.byteLength(command(lineOf(spare))), 998);
  assert.throws(() => lineOf(spare + 1), /too long for cron/);
});

const OWNER = { app: 'shop', environment: 'production' };
const lines = (above: string, mailTo?: string) =>
  block(OWNER, { jobs: [JOB], off: ['drill'], log: '/log', mailTo }, above, 'me');

test('the block: markers, settings, each job with its schedule, and the settings from above again', () => {
  const text = lines('PATH=/before\nMAILTO=them\n', 'us').split('\n');
  assert.is(text[0], '# BEGIN shop production (schedule.ts)');
  assert.is(text.at(-2), '# END shop production (schedule.ts)');
  assert.ok(text.includes('# backup: 0 2 * * * UTC') && text.includes('# drill: off'));
  const settings = text.filter(line => /^[A-Z]+=/.test(line));
  assert.is(settings[2], 'MAILTO=us');
  assert.equal(settings.slice(3), ['SHELL=/bin/sh', 'PATH=/before', 'MAILTO=them']);
  assert.equal(
    lines('')
      .split('\n')
      .filter(line => /^[A-Z]+=/.test(line))
      .slice(2),
    ['SHELL=/bin/sh', 'PATH=/usr/bin:/bin'],
    'cron’s own, and no MAILTO that nobody asked for',
  );
});

test('only its own block is removed; all else stays byte for byte', () => {
  const others =
    '# mine\n\n*/2 * * * * true\t \n# BEGIN shop staging (schedule.ts)\nx\n# END shop staging (schedule.ts)\n';
  const after = '1 1 * * * after\n\n';
  assert.is(withoutBlock(others + lines(others) + after, OWNER), others + after);
  assert.is(withoutBlock(others, OWNER), others);
  assert.is(withoutBlock(lines('') + lines(''), OWNER), '');
  assert.is(withoutBlock('', OWNER), '');
});

test('a single marker is refused, with its line', () => {
  const [whole] = [lines('')];
  const end = '# END shop production (schedule.ts)\n';
  for (const [crontab, line] of [
    [`a\n${whole.replace(end, '')}b\n`, 2],
    [`a\nb\n${end}`, 3],
    [`a\n${whole.replace(end, '')}${whole}`, 2],
  ] as const)
    assert.throws(() => withoutBlock(crontab, OWNER), new RegExp(`^line ${line} of the crontab has no`));
});

test('what is wrong with an expression', () => {
  for (const [expression, says] of [
    ['@daily', /unsupported syntax/],
    ['0 2 * *', /unsupported syntax/],
    ['0 0 2 * * *', /unsupported syntax/],
    ['0 2 L * *', /unsupported syntax/],
    ['H 2 * * *', /unsupported syntax/],
    ['0 25 * * *', /^a field is not within 0-23$/],
    ['0 2 30 2 *', /names no day that exists$/],
    ['0 2 * foo *', /^a field can’t be read/],
    ['', /unsupported syntax/],
  ] as const)
    assert.match(cronProblem(expression) ?? '', says, expression);
  for (const good of EXPRESSIONS) assert.is(cronProblem(good), undefined, good);
});

test.run();
