/** Names of images that stay valid, and images that are gone, as the real `docker` is asked for them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OperationalError } from '../../scripts/lib/core/errors.ts';
import { lastingName, pull } from '../../scripts/lib/docker/images.ts';

const directory = mkdtempSync(join(tmpdir(), 'lasting-name-'));
process.once('exit', () => rmSync(directory, { recursive: true }));
process.env.PATH = `${directory}${delimiter}${process.env.PATH}`;

const [old, moved] = [`sha256:${'a'.repeat(64)}`, `sha256:${'b'.repeat(64)}`];
const pinned = `registry.example/shop/backend@${old}`;

/** @param digests of the image `old` @param tag the image that `shop/backend:1` means now; undefined: none */
function engine(digests: string[] | null, tag: string | undefined): void {
  const script = `#!/bin/sh
case "$*" in
  *RepoDigests*${old}) echo '${JSON.stringify(digests)}';;
  *.Id*registry.example/shop/backend:1) ${tag ? `echo ${tag}` : 'echo "Error: No such image" >&2; exit 1'};;
  'pull --quiet '*) echo 'connection refused' >&2; exit 1;;
  *) echo "Error: No such image: $*" >&2; exit 1;;
esac
`;
  writeFileSync(join(directory, 'docker'), script, { mode: 0o755 });
}

test('a tag that means another image now, or none, is replaced by a name that can be pulled', async () => {
  const container = { image: 'registry.example/shop/backend:1', imageId: old };
  const cases: [string[] | null, string | undefined, string][] = [
    [[pinned], old, container.image],
    [[pinned], moved, pinned],
    [[pinned], undefined, pinned],
    [['mirror.example/backend@sha256:c', pinned], moved, pinned],
    [['mirror.example/backend@sha256:c'], moved, old],
    [[], moved, old],
    [null, undefined, old],
  ];
  for (const [digests, tag, expected] of cases) {
    engine(digests, tag);
    assert.is(await lastingName(container), expected, JSON.stringify([digests, tag]));
  }
});

test('an image that is gone: the error names the command that must succeed, or says that there is none', async () => {
  engine(null, undefined);
  const cases = [
    [pinned, `\`docker pull ${pinned}\` must succeed first.`],
    [old, '`docker load` or `docker build` can bring it back.'],
  ] as const;
  for (const [image, hint] of cases) {
    const error = await pull(image).catch(thrown => thrown);
    assert.instance(error, OperationalError);
    assert.ok(error.hint.startsWith(hint), error.hint);
  }
});

test.run();
