import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decompressTo, parallelRestore, streamRestore } from '../../scripts/lib/restore/load-commands.ts';
import { lineInDump, plainRestore } from '../../scripts/lib/restore/plain-commands.ts';

const FRAME = { databases: false, restrict: null, trailerBytes: 0 };

test('the name of a database is one argument', () => {
  const name = "a b='c'; rm -rf $HOME";
  assert.equal(parallelRestore(name, 'stop', '/tmp/dump', { jobs: 4 }).slice(-3), [
    `--dbname=dbname='a b=\\'c\\'; rm -rf $HOME'`,
    '--jobs=4',
    '/tmp/dump',
  ]);
});

test('loading stops at the first error, or collects errors', () => {
  const rows = { start: 10, end: 20, firstLine: 3, lastLine: 5 };
  assert.match(plainRestore('app', FRAME, 'Key').at(-1)!, / \| psql .*--set=ON_ERROR_STOP=1.* --file=- /);
  assert.match(
    plainRestore('app', FRAME, 'Key', { collect: { rows } }).at(-1)!,
    / psql psql .*--set=ON_ERROR_STOP=0/,
  );
  assert.match(streamRestore('app', 'stop').at(-1)!, / \| pg_restore --exit-on-error /);
  assert.not.match(streamRestore('app', 'collect').at(-1)!, /--exit-on-error/);
  assert.equal(decompressTo('/tmp/dump', 5000).slice(3), ['/tmp/dump', '4', 'zstd', '-q', '-dc']);
});

test('an error has the number of its line in the dump', () => {
  const rows = { start: 10, end: 20, firstLine: 3, lastLine: 5 };
  const first = 1 + [1, 2, 3, 4, 5].length; // psql reads five lines before
  const numbers = (lines: number[]) => lines.map(line => lineInDump(first - 1 + line, rows));
  assert.equal(numbers([1, 2]), [1, 2]);
  assert.equal(numbers([7, 8, 9]), [3, 4, 5], 'rows, after four lines');
  assert.equal(numbers([14, 15]), [6, 7], 'behind them, after four more');
  assert.is(lineInDump(first + 20), 21, 'no rows');
});

/** In later versions of psql the key of `\\unrestrict` is all that follows it in its line: they refused the dump. */
test('each command of psql has a line of its own', () => {
  const rows = { start: 10, end: 20, firstLine: 3, lastLine: 5 };
  const script = plainRestore('app', FRAME, 'Key', { collect: { rows } }).at(-1)!;
  assert.is(script.match(/\\+unrestrict Key\\n/g)?.length, 3, script);
  assert.not.match(script, /(un)?restrict Key(?!\\n|')/);
});

test('a load leaves out what it is told to', () => {
  const options = (without?: { owners?: boolean; tablespaces?: boolean }) =>
    parallelRestore('app', 'stop', '/tmp/dump', { jobs: 4, without }).filter(
      word => word.startsWith('--no-') && word !== '--no-password',
    );
  assert.equal(options(), []);
  assert.equal(options({ owners: true }), ['--no-owner', '--no-acl']);
  assert.equal(options({ tablespaces: true }), ['--no-tablespaces']);
  assert.match(streamRestore('app', 'stop', { without: { owners: true } }).join(' '), /--no-owner --no-acl/);
});

test.run();
