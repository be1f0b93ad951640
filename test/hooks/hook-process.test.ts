/* A hook as a process: what it gets, what is kept of its output, and that it ends with all that it has started. */
import { closeSync, openSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { runToEnd } from '../../scripts/lib/hooks/hook-process.ts';
import { hookPlace, isRunning } from '../support/hooks/hooks.ts';

const place = hookPlace();
const { PATH = '' } = process.env;
const never = new AbortController().signal;
let hooks = 0;
const run = (script: string, { seconds = 60, until = never, input = '{}' } = {}) =>
  runToEnd(place.write(`hook-${++hooks}`, script), input, { PATH }, { seconds, until });

test('it gets its input and its environment, and nothing of this process’s', async () => {
  process.env.OF_THIS_PROCESS = 'secret';
  const lock = openSync(place.path('lock'), 'a+');
  const { status, output } = await run(
    'cat; echo; cd - >/dev/null; pwd; env -u HOOK_ID; ls -l /proc/$$/fd | grep /lock$ || true',
    { input: '{"a":1}' },
  );
  closeSync(lock);
  assert.is(status, 0);
  const [json, cwd, ...rest] = output.trimEnd().split('\n');
  assert.equal([json, cwd], ['{"a":1}', ROOT]);
  assert.equal(
    rest.filter(line => !/^(PATH|PWD|OLDPWD|SHLVL|_)=/.test(line)),
    [],
    'no other variable, and no descriptor of the run, such as that of its lock',
  );
});

test('how it ends: a status, a signal; input that nobody reads is no failure', async () => {
  const [seven, killed, deaf] = await Promise.all([
    run('exit 7'),
    run('kill -SEGV $$'),
    run('exec <&-; echo done', { input: 'x'.repeat(1_000_000) }),
  ]);
  assert.equal([seven.status, seven.signal], [7, null]);
  assert.is(killed.signal, 'SIGSEGV');
  assert.equal([deaf.status, deaf.output], [0, 'done\n']);
});

const ENDS: Record<string, string> = {
  'a child that keeps stdout open': 'sleep 600 & echo $! >FILE; echo said',
  'a child that ignores signals': `bash -c 'trap "" TERM HUP INT; echo $$ >FILE; while :; do sleep 1; done' & until [ -s FILE ]; do sleep 0.01; done; echo said`,
  'a child in a session of its own': `setsid bash -c 'echo $$ >FILE; exec sleep 600' & until [ -s FILE ]; do sleep 0.01; done; echo said`,
  'a daemon that has closed all': `setsid bash -c 'exec <&- >&- 2>&-; (echo $BASHPID >FILE; exec sleep 600) & disown' & until [ -s FILE ]; do sleep 0.01; done; echo said`,
};
for (const [what, script] of Object.entries(ENDS))
  test(`${what} ends with it, and does not hold it up`, async () => {
    const { status, output, timedOut } = await run(script.replaceAll('FILE', `pid-${hooks + 1}`));
    assert.equal([status, output, timedOut], [0, 'said\n', false]);
    assert.not(isRunning(place.read(`pid-${hooks}`)));
  });

test('one that hangs is ended, also if it ignores SIGTERM or is interrupted', async () => {
  const hang = (id: string, rest = '') => `${rest} echo $$ >${id}; while :; do sleep 0.1; done`;
  const interrupted = new AbortController();
  const [slow, deaf, signalled, clean] = await Promise.all([
    run(hang('slow'), { seconds: 0.5 }),
    run(hang('deaf', 'trap "" TERM;'), { seconds: 0.5 }),
    run(`${hang('signalled').replace('while', 'kill -STOP $$; while')}`, {
      seconds: 600,
      until: AbortSignal.any([interrupted.signal, AbortSignal.timeout(500)]),
    }),
    run(`trap 'echo tidied; exit 3' TERM; while :; do sleep 0.1; done`, { seconds: 0.5 }),
  ]);
  assert.equal([slow.signal, slow.timedOut], ['SIGTERM', true]);
  assert.equal([deaf.signal, deaf.timedOut], ['SIGKILL', true]);
  assert.ok(signalled.signal && !signalled.timedOut, 'a stopped process');
  assert.equal([clean.status, clean.timedOut], [3, true]);
  assert.match(clean.output, /tidied\n$/, 'it can clean up');
  for (const id of ['slow', 'deaf', 'signalled']) assert.not(isRunning(place.read(id)), id);
});

test('of megabytes, whole lines of the begin and the end are kept', async () => {
  const { output } = await run(`seq --format='line %.0f of many' 300000; echo last words >&2`);
  assert.ok(output.length < 70_000, `${output.length}`);
  assert.match(output, /^line 1 of many\nline 2 of many\n/);
  assert.match(output, /of many\n… \d+ bytes are left out …\nline \d+ of many\n/);
  assert.match(output, /line 300000 of many\n$|last words\n$/);
});

test('what a terminal would obey is shown by its code; of a progress bar, the last state', async () => {
  const { output } = await run(
    String.raw`printf 'a\033[31mred\007\n\000\377\302\233\n10%%\r50%%\r100%%\r\n\342\200\256abc\n\tb\n'`,
  );
  assert.is(output, 'a\\x1b[31mred\\x07\n\\x00\ufffd\\x9b\n100%\n\\u202eabc\n\tb\n');
});

test.run();
