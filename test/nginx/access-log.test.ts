import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { regression } from '../../scripts/lib/nginx/access-log.ts';

test('the conditions under which the traffic of a release is worse', () => {
  const before = { requests: 1000, errors: 2, p95: 0.1 };
  assert.is(regression(before, { requests: 1000, errors: 2, p95: 0.1 }), undefined);
  assert.is(regression(before, { requests: 4, errors: 4, p95: 0.1 }), undefined, 'too few to tell');
  assert.match(
    regression(before, { requests: 100, errors: 5, p95: 0.1 })!,
    /5 of 100 answers are 5xx \(5\.0 %; before: 0\.2 %\)/,
  );
  assert.is(
    regression({ ...before, errors: 100 }, { requests: 100, errors: 10, p95: 0.1 }),
    undefined,
    'as bad as before',
  );
  assert.match(
    regression(before, { requests: 100, errors: 0, p95: 0.5 })!,
    /take up to 0\.50 s \(before: 0\.10 s\)/,
  );
  assert.is(regression(before, { requests: 100, errors: 0, p95: 0.3 }), undefined, 'slower, but fast');
  assert.is(regression({ requests: 0, errors: 0, p95: 0 }, { requests: 5, errors: 0, p95: 9 }), undefined);
});

test.run();
