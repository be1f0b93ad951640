/* Which files are run as hooks: who else can change them, and whether they can be run at all. */
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../scripts/lib/core/shell.ts';
import { problemOf } from '../../scripts/lib/hooks/hook-file.ts';
import { hookPlace } from '../support/hooks/hooks.ts';

const whatOf = (path: string) => {
  const problem = problemOf(path);
  return typeof problem === 'object' ? problem.what : problem;
};

test('a script and a program can be run, also through a link out of the repository', () => {
  const place = hookPlace();
  assert.is(problemOf(place.write('script', 'true')), undefined);
  symlinkSync('/bin/true', place.path('program'));
  assert.is(problemOf(place.path('program')), undefined);
  mkdirSync(place.path('below'));
  symlinkSync('../script', place.path('below/relative'));
  symlinkSync('below', place.path('directory'));
  assert.is(problemOf(place.path('directory/relative')), undefined);
  assert.is(problemOf(place.path('none')), 'missing');
  assert.is(problemOf(place.path('none/either')), 'missing');
});

test('what can’t be run is named, each with its own advice', () => {
  const place = hookPlace();
  const write = (name: string, text: string) => {
    writeFileSync(place.path(name), text);
    chmodSync(place.path(name), 0o755);
  };
  write('plain', '#!/bin/sh\n');
  chmodSync(place.path('plain'), 0o644);
  mkdirSync(place.path('directory'));
  symlinkSync('nowhere', place.path('dangling'));
  symlinkSync('circle', place.path('circle'));
  symlinkSync('/dev/null', place.path('device'));
  write('windows', '#!/bin/sh\r\necho hello\r\n');
  write('no-start', 'echo hello\n');
  write('marked', '\ufeff#!/bin/sh\n');
  write('empty', '');
  const cases: Record<string, RegExp> = {
    plain: /^is not executable$/,
    directory: /^is not a file$/,
    dangling: /^can't be read: ENOENT/,
    circle: /^can't be read: too many symbolic links/,
    device: /^is not a file$/,
    windows: /line endings of Windows/,
    'no-start': /^does not begin with #!$/,
    marked: /^does not begin with #!$/,
    empty: /^does not begin with #!$/,
  };
  for (const [name, what] of Object.entries(cases)) assert.match(whatOf(place.path(name))!, what, name);
});

test('the advice mends it', async () => {
  const place = hookPlace();
  const path = place.write('pre-backup', 'echo hello\r');
  writeFileSync(path, '#!/bin/bash\r\necho hello\r\n');
  chmodSync(path, 0o666);
  const advice: string[] = [];
  for (let problem = problemOf(path); typeof problem === 'object'; problem = problemOf(path)) {
    advice.push(problem.hint.replace(/^[^:]*: /, ''));
    assert.ok(advice.length < 5, advice.join('\n'));
    await run(['sh', '-c', advice.at(-1)!], { purpose: 'follow the advice' });
  }
  assert.is(advice.length, 3);
  assert.is(await run([path], { purpose: 'run the hook' }), 'hello\n');
});

test('what others can write is refused: the file, each directory to it, and those on the way of a link', () => {
  const place = hookPlace();
  const path = place.write('hook', 'true');
  const refusedFor = (changed: string, mode: number, asked = path) => {
    chmodSync(changed, mode);
    try {
      return whatOf(asked);
    } finally {
      chmodSync(changed, 0o755);
    }
  };
  assert.is(refusedFor(path, 0o757), `runs as this user, and others can write ${path}`);
  assert.is(refusedFor(place.directory, 0o777), `runs as this user, and others can write ${place.directory}`);
  assert.is(refusedFor(place.directory, 0o1777), undefined, 'sticky, as /tmp is');
  assert.is(refusedFor(path, 0o775), undefined, 'this user’s own group');
  mkdirSync(place.path('shared'));
  symlinkSync('shared/second', place.path('link'));
  symlinkSync('../hook', place.path('shared/second'));
  assert.is(refusedFor(path, 0o755, place.path('link')), undefined);
  assert.match(refusedFor(place.path('shared'), 0o777, place.path('link'))!, /can write .*shared$/);
});

test('what belongs to another user is refused', () => {
  if (process.getuid!() !== 0) throw new Error('this test needs root');
  const place = hookPlace();
  const path = place.write('hook', 'true');
  chownSync(path, 12345, 0);
  assert.is(whatOf(path), `runs as this user, and another one (uid 12345) owns ${path}`);
  chownSync(path, 0, 12345);
  chmodSync(path, 0o775);
  assert.is(whatOf(path), `runs as this user, and others can write ${path}`, 'a group of others');
});

test.run();
