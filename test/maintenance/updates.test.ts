/* Which versions are newer. The registry itself: test/integration/monthly.test.ts, with a stand-in. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig } from '../../scripts/lib/config/config.ts';
import { newestPatch, pinnedImages } from '../../scripts/lib/maintenance/image-updates.ts';
import { isPatch } from '../../scripts/lib/maintenance/package-updates.ts';

test('the highest patch number that the registry has, with the same variant; a number may be missing', async () => {
  const cases: [image: string, there: string[], newest: string | undefined][] = [
    ['nginx:1.30.6-trixie', [], undefined],
    ['nginx:1.30.6-trixie', ['1.30.7', '1.31.0-trixie', '1.30.7-bookworm', '1.30.5-trixie'], undefined],
    ['nginx:1.30.6-trixie', ['1.30.7-trixie', '1.30.8-trixie'], '1.30.8-trixie'],
    ['nginx:1.30.9', ['1.30.10', '1.30.11'], '1.30.11'],
    ['postgres:15.20-bookworm', ['15.22-bookworm', '16.1-bookworm'], '15.22-bookworm'],
    ['postgres:15.20-bookworm', ['15.23-bookworm'], undefined], // two in a row are missing
    ['ghcr.io:5000/owner/certbot:v5.6.0', ['v5.6.1'], 'v5.6.1'],
    ['redis:7.2.11', ['7.2.12', '7.2.14', '7.2.16'], '7.2.16'],
    ['redis:7', ['8'], undefined],
    ['redis:latest', ['latest'], undefined],
    [`redis@sha256:${'0'.repeat(64)}`, [], undefined],
  ];
  for (const [image, there, newest] of cases) {
    const repository = image.replace(/:[^:]*$/, '');
    const asked: string[] = [];
    const found = await newestPatch(image, async reference => {
      asked.push(reference);
      return there.includes(reference.slice(repository.length + 1)) ? 'sha256:x' : undefined;
    });
    assert.is(found, newest && `${repository}:${newest}`, `${image} with ${there}`);
    assert.ok(asked.length <= 2 * there.length + 2, 'few questions');
  }
});

test('a registry that has everything is not asked without an end', async () => {
  let questions = 0;
  await newestPatch('nginx:1.30.6', async () => `sha256:${++questions}`);
  assert.is(questions, 20);
});

test('the images that the files of this repository pin, but not the product’s', () => {
  const images = pinnedImages(loadConfig('production', {}));
  for (const name of ['nginx:', 'postgres:', 'redis:', 'certbot', 'node:'])
    assert.ok(
      images.some(image => image.includes(name)),
      name,
    );
  assert.is(new Set(images).size, images.length);
  assert.not(images.some(image => image.includes('$')));
});

test('a patch is a higher third number, and nothing else', () => {
  const cases: [from: string | undefined, to: string, is: boolean][] = [
    ['1.2.3', '1.2.4', true],
    ['1.2.9', '1.2.10', true],
    ['1.2.4', '1.2.3', false],
    ['1.2.3', '1.2.3', false],
    ['1.2.3', '1.3.4', false],
    ['1.2.3', '2.2.4', false],
    ['1.2.3', '1.2.4-beta.1', false],
    [undefined, '1.2.3', false],
  ];
  for (const [from, to, is] of cases) assert.is(isPatch(from, to), is, `${from} → ${to}`);
});

test.run();
