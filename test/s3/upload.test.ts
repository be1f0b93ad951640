import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { partSize } from '../../scripts/lib/s3/upload.ts';

test('an upload has at most 1,000 parts of at least 16 MiB', () => {
  const MIB = 1024 ** 2;
  for (const size of [
    1,
    16 * MIB,
    17 * MIB,
    900 * 16 * MIB,
    900 * 16 * MIB + 1,
    100 * 1024 * MIB,
    5 * 1024 ** 2 * MIB,
  ]) {
    const part = partSize(size);
    assert.ok(part >= 16 * MIB && part % MIB === 0 && part <= 5 * 1024 * MIB * 2, `${size}: ${part}`);
    assert.ok(Math.ceil(size / part) <= 1000, `${size}: ${Math.ceil(size / part)} parts`);
  }
});

test.run();
