/**
 * How images get from staging to production, by the workflows' own lines, with a real registry and a buildx as new
 * as a runner's, from Debian sid.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { unpack } from '../engine/apt.ts';
import { CACHE, ensureEngine } from '../engine/engine.ts';
import { run, withLock } from '../engine/process.ts';
import { type Runner, startRunner } from '../support/deploy/workflow.ts';
import { startRegistry } from '../support/docker/registry.ts';

const engine = await ensureEngine();
const PROGRAMS = join(CACHE, 'promotion');
await withLock(`${PROGRAMS}.lock`, async () => {
  await unpack('sid', ['docker-buildx'], join(PROGRAMS, 'buildx'));
});

interface Images {
  address: string;
  /** Puts an image there that holds `text`, without a name. @returns its digest */
  push: (repository: string, text: string) => Promise<string>;
  /** @returns the digest that a tag stands for */
  digestOf: (repository: string, tag: string) => Promise<string | null>;
}

const sha256 = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`;

async function withRegistry(body: (registry: Images) => Promise<void>): Promise<void> {
  const { host: address } = await startRegistry(engine.env);
  const api = (path: string, init?: RequestInit) => fetch(new URL(path, `http://${address}/v2/`), init);
  const upload = async (repository: string, text: string) => {
    const started = await api(`${repository}/blobs/uploads/`, { method: 'POST' });
    const place = new URL(started.headers.get('location')!, `http://${address}`);
    place.searchParams.set('digest', sha256(text));
    assert.is((await fetch(place, { method: 'PUT', body: text })).status, 201);
    return { digest: sha256(text), size: text.length };
  };
  const type = 'application/vnd.oci.image.manifest.v1+json';
  await body({
    address,
    async push(repository, text) {
      const config = await upload(
        repository,
        JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [] } }),
      );
      const layer = await upload(repository, text);
      const manifest = JSON.stringify({
        schemaVersion: 2,
        mediaType: type,
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
        layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...layer }],
      });
      const put = await api(`${repository}/manifests/${sha256(manifest)}`, {
        method: 'PUT',
        headers: { 'content-type': type },
        body: manifest,
      });
      assert.is(put.status, 201);
      return sha256(manifest);
    },
    async digestOf(repository, tag) {
      const answer = await api(`${repository}/manifests/${tag}`, { headers: { accept: `${type}, */*` } });
      return answer.ok ? answer.headers.get('docker-content-digest') : null;
    },
  });
}

/** Runs a job's steps as `runner` does, where docker is the engine's with the newer buildx. */
async function onRunner<T>(
  file: string,
  job: string,
  body: (runner: Runner, path: string) => Promise<T>,
): Promise<T> {
  const runner = startRunner(file, job);
  try {
    const plugins = join(runner.directory, '.docker/cli-plugins');
    mkdirSync(plugins, { recursive: true });
    symlinkSync(
      join(PROGRAMS, 'buildx/usr/libexec/docker/cli-plugins/docker-buildx'),
      join(plugins, 'docker-buildx'),
    );
    return await body(runner, engine.env.PATH!);
  } finally {
    runner.remove();
  }
}

/** A repository as a release finds it: what staging ran on develop, merged into main with a commit of its own. */
async function repository(): Promise<{ directory: string; git: (...args: string[]) => Promise<string> }> {
  const directory = mkdtempSync(join(tmpdir(), 'product-'));
  const name = ['-c', 'user.name=x', '-c', 'user.email=x@x.example', '-c', 'commit.gpgsign=false'];
  const git = (...args: string[]) => run('git', [...name, ...args], { cwd: directory });
  await git('init', '-q', '-b', 'main');
  writeFileSync(join(directory, 'file'), 'first');
  await git('add', '.');
  await git('commit', '-qm', 'first');
  await git('checkout', '-qb', 'develop');
  writeFileSync(join(directory, 'file'), 'second');
  await git('commit', '-qam', 'second');
  await git('checkout', '-q', 'main');
  await git('merge', '-q', '--no-ff', '-m', 'release', 'develop');
  return { directory, git };
}

async function tag(file: string, registry: Images, TAG: string, BACKEND: string, FRONTEND: string) {
  return onRunner(file, 'record', (runner, path) =>
    runner.run(
      'Tag',
      { TAG, BACKEND, FRONTEND, REGISTRY: registry.address, GITHUB_REPOSITORY: 'Owner/Product' },
      { path },
    ),
  );
}

async function find(registry: Images, cwd: string) {
  return onRunner('deploy-production.yml', 'find', async (runner, path) => {
    const ended = await runner.run('Find the images', { REGISTRY: registry.address }, { cwd, path });
    return { ...ended, outputs: runner.outputs() };
  });
}

test('production gets the digests that staging ran, through a merge, and names them', () =>
  withRegistry(async registry => {
    const { directory, git } = await repository();
    try {
      const source = await onRunner('deploy-staging.yml', 'build', async (runner, path) => {
        await git('checkout', '-q', 'develop');
        const { code, stderr } = await runner.run(
          'Read the source',
          { IMAGE: 'backend', REGISTRY: registry.address },
          { cwd: directory, path },
        );
        assert.is(code, 0, stderr);
        await git('checkout', '-q', 'main');
        return runner.outputs();
      });
      assert.is(source.name, `${registry.address}/owner/product/backend`);
      assert.is(source.version, await git('rev-parse', '--short', 'develop'));

      const images = ['backend', 'frontend'].map(name => `owner/product/${name}`);
      const [backend, frontend] = (await Promise.all(images.map(name => registry.push(name, name)))) as [
        string,
        string,
      ];
      const staging = `staging-${source.tree}`;
      const tagged = await tag('deploy-staging.yml', registry, staging, backend, frontend);
      assert.is(tagged.code, 0, tagged.stderr);
      assert.is(await registry.digestOf(images[0]!, staging), backend);
      assert.is(await registry.digestOf(images[1]!, staging), frontend);

      const found = await find(registry, directory);
      assert.is(found.code, 0, found.stderr);
      assert.equal(found.outputs, { backend, frontend });

      const named = await tag('deploy-production.yml', registry, 'v2.4.0', backend, frontend);
      assert.is(named.code, 0, named.stderr);
      assert.is(await registry.digestOf(images[0]!, 'v2.4.0'), backend);

      writeFileSync(join(directory, 'file'), 'a fix that staging has not run');
      await git('commit', '-qam', 'third');
      const refused = await find(registry, directory);
      assert.is(refused.code, 1);
      assert.match(refused.stdout, /^::error::staging has not run the files of v2\.4\.0/);
      assert.equal(refused.outputs, {});
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }));

test('a frontend that staging has not deployed stops it, too', () =>
  withRegistry(async registry => {
    const { directory, git } = await repository();
    try {
      const tree = await git('rev-parse', 'HEAD^{tree}');
      const backend = await registry.push('owner/product/backend', 'backend');
      const half = await tag('deploy-staging.yml', registry, `staging-${tree}`, backend, sha256('nothing'));
      assert.is.not(half.code, 0);
      assert.is(await registry.digestOf('owner/product/backend', `staging-${tree}`), backend);
      const refused = await find(registry, directory);
      assert.is(refused.code, 1);
      assert.match(refused.stdout, /^::error::staging has not run the files of v2\.4\.0/);
      assert.not('frontend' in refused.outputs);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }));

test.run();
