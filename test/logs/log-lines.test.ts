/* Lines as Docker writes them: timestamps, pieces of long lines, order; and that no length is too much. */
import { Readable } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { race } from '../../scripts/lib/logs/follow.ts';
import { merge, parseLine, splitLines } from '../../scripts/lib/logs/log-lines.ts';

const STAMP = '2026-01-31T02:00:07.123456789Z ';
const all = async <T>(source: AsyncIterable<T>): Promise<T[]> => {
  const found: T[] = [];
  for await (const each of source) found.push(each);
  return found;
};

test('a line has the time that Docker writes; what has none is of Docker itself', () => {
  assert.equal(parseLine(Buffer.from(`${STAMP}GET / 200\r`)), {
    time: STAMP.trim(),
    text: 'GET / 200',
    isCut: false,
  });
  assert.equal(parseLine(Buffer.from('Error response from daemon: no')).time, '');
  assert.equal(parseLine(Buffer.from(STAMP)), { time: STAMP.trim(), text: '', isCut: false });
  assert.is(parseLine(Buffer.from(`${STAMP}\xff\xfeü`, 'latin1')).text, '\ufffd\ufffd\ufffd');
});

test('a line that Docker has cut to pieces is whole again, also inside of a character, and keeps a time of its own', () => {
  for (const length of [16_383, 16_384, 16_385, 40_000, 65_536]) {
    const text = `x${'ü'.repeat(length)} ${STAMP}said by a visitor`;
    const bytes = Buffer.from(text);
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += 16_384)
      pieces.push(Buffer.from(STAMP), bytes.subarray(at, at + 16_384));
    assert.is(parseLine(Buffer.concat(pieces)).text, text, `${length}`);
  }
});

test('lines come out of chunks of any size; of a longer one the begin', async () => {
  const text = 'first\n\nthird ü\nlast, without an end';
  for (const size of [1, 2, 7, 1000]) {
    const bytes = Buffer.from(text);
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
    const lines = await all(splitLines(Readable.from(chunks)));
    assert.equal(
      lines.map(({ bytes }) => bytes.toString()),
      text.split('\n'),
    );
  }
  const megabytes = Array.from({ length: 100 }, () => Buffer.alloc(1e6, 'a'));
  const [long, next] = await all(splitLines(Readable.from([...megabytes, Buffer.from('\nshort\n')])));
  assert.equal([long!.bytes.length, long!.isCut], [262_144, true]);
  assert.equal([next!.bytes.toString(), next!.isCut], ['short', false]);
});

async function* timed(...times: string[]) {
  for (const time of times) yield { time };
}

test('several logs are one in the order of time; what follows comes as soon as it is there', async () => {
  const merged = await all(merge([timed('1', '4', '4'), timed(), timed('2', '3', '9')]));
  assert.equal(
    merged.map(({ time }) => time),
    ['1', '2', '3', '4', '4', '9'],
  );
  let go = () => {};
  const gate = new Promise<void>(resolve => {
    go = resolve;
  });
  async function* late() {
    await gate;
    yield { time: '0' };
  }
  const seen: string[] = [];
  for await (const { time } of race([late(), timed('5', '6')])) {
    seen.push(time);
    if (time === '6') go();
  }
  assert.equal(seen, ['5', '6', '0']);
});

test.run();
