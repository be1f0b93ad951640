/* `npm run demo`, as a newcomer uses it: the commands that it prints work, and Ctrl-C leaves nothing. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ensureEngine } from '../engine/engine.ts';
import { attempt, run } from '../engine/process.ts';
import { type Child, startChild } from '../support/core/child.ts';
import { until } from '../support/core/world.ts';

const { env } = await ensureEngine();
const PROGRAM = join(import.meta.dirname, '../demo.ts');

/** What the engine has under one of the names. */
async function left(...names: string[]): Promise<string[]> {
  const lists = [
    ['ps', '--all', '--format', '{{.Names}}'],
    ['network', 'ls', '--format', '{{.Name}}'],
    ['volume', 'ls', '--format', '{{.Name}}'],
    ['image', 'ls', '--format', '{{.Repository}}'],
  ];
  const all = await Promise.all(lists.map(args => run('docker', args, { env })));
  return all.flatMap(text => text.split('\n')).filter(line => names.some(name => line.startsWith(name)));
}

/** Starts the demo with a temporary directory of its own, which is empty again when it has ended. */
async function withDemo(body: (demo: Child, directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'demo-'));
  const demo = startChild(PROGRAM, [], { env: { ...process.env, TMPDIR: directory } });
  try {
    await body(demo, directory);
    assert.equal(readdirSync(directory), []);
  } finally {
    demo.process.kill('SIGTERM');
    await demo.exited;
    rmSync(directory, { recursive: true });
  }
}

test('the commands that it prints deploy a release without a failed request, and SIGINT removes all of it', () =>
  withDemo(async demo => {
    await demo.line(/^Ctrl-C /, 600);
    const printed = (pattern: RegExp) => pattern.exec(demo.output())![0];
    const entry = printed(/^ {2}cd .*$/m);
    const shell = (command: string) => attempt('bash', ['-c', `${entry}\n${command}`]);
    assert.match((await shell(printed(/^ {2}curl .*$/m))).stdout, /<!doctype html>/);

    const loop = printed(/^ {2}n=0 .*$/m).replace('sleep 0.2', 'sleep 0.2 && [ ! -e deployed ]');
    const counts = shell(loop);
    const { code, stdout, stderr } = await shell(printed(/^ {2}\.\/scripts\/deploy\.ts .*$/m));
    await shell('touch deployed');
    assert.is(code, 0, stdout + stderr);
    const counted = (await counts).stdout;
    assert.match(counted, /"version":"1\.0\.0"/);
    assert.match(counted.split('\r').at(-1)!, /^\d\d+ requests, 0 failed; .*"version":"2\.0\.0"/);

    const variables = readFileSync(join(/cd (\S+)/.exec(entry)![1]!, '.env.production'), 'utf8');
    const app = /^APP_NAME='?(\w+)/m.exec(variables)![1]!;
    const registry = /^BACKEND_IMAGE='?(127\.0\.0\.1:\d+)/m.exec(variables)![1]!;
    assert.ok((await left(app, registry)).length > 10);
    demo.process.kill('SIGINT');
    assert.is((await demo.exited).code, 0, demo.output());
    assert.equal(await left(app, registry), []);
    assert.is(await fetch(`http://${registry}/v2/`).then(String, () => 'closed'), 'closed');
  }));

test('SIGTERM during the start removes everything', () =>
  withDemo(async (demo, directory) => {
    const app = () =>
      readdirSync(directory)
        .find(name => /^t\w+-/.test(name))
        ?.split('-')[0];
    await until(
      'the first container',
      async () => !!app() && (await left(`${app()}-postgres`)).length > 0,
      600,
    );
    const name = app()!;
    demo.process.kill('SIGTERM');
    assert.is((await demo.exited).code, 143, demo.output());
    assert.equal(await left(name), []);
  }));

test.run();
