import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mayPass, retryFor } from '../../scripts/lib/s3/retry.ts';

/** @returns the pauses of one request that always fails, on a clock that the pauses alone move */
function pauses(seconds: number, throttled = false, policy = retryFor(seconds)): number[] {
  const { now } = performance;
  let time = now.call(performance);
  performance.now = () => time;
  try {
    const attempts = policy.begin();
    const all: number[] = [];
    for (;;) {
      const pause = attempts.afterFailure(throttled);
      if (pause === undefined) return all;
      all.push(pause);
      time += pause * 1000;
    }
  } finally {
    performance.now = now;
  }
}

const sum = (all: number[]) => all.reduce((a, b) => a + b, 0);

test('a request is repeated for the whole time, also in its last second, and then no more', () => {
  for (const throttled of [false, true]) {
    const all = pauses(60, throttled);
    assert.ok(Math.abs(sum(all) - 60) < 0.001, `${sum(all)} s`);
    assert.ok(
      all.every(pause => pause > 0 && pause <= 5),
      `${all}`,
    );
    assert.ok(all.length > 12 && all.length < 40, `${all.length} attempts`);
  }
  assert.ok(pauses(60)[0]! <= 0.05);
  assert.ok(pauses(60, true)[0]! >= 0.5, 'a store that limits requests is left alone for longer');
  assert.equal(pauses(0), []);
});

test('a store that is away costs the whole time once; one answer, and it has it again', () => {
  const policy = retryFor(60);
  const time = () => Math.round(sum(pauses(60, false, policy)));
  assert.equal([time(), time(), time()], [60, 2, 2]);
  policy.succeeded();
  assert.is(time(), 60);
});

test('what may pass is told from what lasts', () => {
  const answer = (httpStatusCode: number, name = '') =>
    Object.assign(new Error('no'), { name, $metadata: { httpStatusCode } });
  const broken = (syscall: string, code: string) => Object.assign(new Error('no'), { syscall, code });
  const passing = [
    answer(500),
    answer(503),
    answer(507),
    answer(520),
    answer(429),
    answer(408),
    answer(409, 'OperationAborted'),
    broken('connect', 'EHOSTDOWN'),
    broken('getaddrinfo', 'EAI_FAIL'),
    broken('read', 'ECONNABORTED'),
  ];
  const lasting = [
    answer(501),
    answer(505),
    answer(403),
    answer(404),
    answer(409, 'BucketNotEmpty'),
    answer(400, 'InvalidArgument'),
    answer(200),
    broken('open', 'EACCES'),
    Object.assign(new Error('no'), { code: 'CERT_HAS_EXPIRED' }),
    new TypeError('a bug'),
  ];
  for (const error of passing) assert.ok(mayPass(error), JSON.stringify(error));
  for (const error of lasting) assert.not.ok(mayPass(error), JSON.stringify(error));
});

test.run();
