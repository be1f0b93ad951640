import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { namedImages, repositoryOf } from '../../scripts/lib/docker/images.ts';

test('repositories, with and without tags, digests and ports', () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  for (const [reference, expected] of [
    ['backend', 'backend'],
    ['backend:1', 'backend'],
    [`ghcr.io/owner/backend:1@${digest}`, 'ghcr.io/owner/backend'],
    ['127.0.0.1:5000/backend', '127.0.0.1:5000/backend'],
    ['127.0.0.1:5000/shop/backend:1', '127.0.0.1:5000/shop/backend'],
  ] as const)
    assert.is(repositoryOf(reference), expected);
});

test('one tag means both images; a digest means one; anything else is an error', () => {
  const [a, b] = [`sha256:${'a'.repeat(64)}`, `sha256:${'b'.repeat(64)}`];
  const configured = { backend: 'host:5000/backend:1', frontend: `host:5000/frontend@${b}` };
  assert.equal(namedImages(configured, '2'), {
    backend: 'host:5000/backend:2',
    frontend: 'host:5000/frontend:2',
  });
  assert.equal(namedImages(configured, a), {
    backend: `host:5000/backend@${a}`,
    frontend: configured.frontend,
  });
  assert.equal(namedImages(configured, a, b).frontend, `host:5000/frontend@${b}`);
  for (const wrong of ['', 'a b', '-x', 'latest;reboot', 'sha256:abc', '../x', 'x'.repeat(129)])
    assert.throws(
      () => namedImages(configured, wrong === '' ? ' ' : wrong),
      /neither a tag nor a digest/,
      wrong,
    );
});

test.run();
