/* Who ends the engine of the tests: the last run to leave, and only where a run started it. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startChild } from '../support/core/child.ts';
import { lease, type Startable } from './lease.ts';

/** An engine that is a file: it runs while the file is there. */
async function withEngine(body: (engine: Startable<string>, isRunning: () => boolean) => Promise<void>) {
  const directory = mkdtempSync(join(tmpdir(), 'lease-'));
  const file = join(directory, 'engine');
  const isRunning = () => existsSync(file);
  try {
    await body(
      {
        isRunning,
        start: async () => {
          writeFileSync(file, '');
          return file;
        },
        stop: async () => rmSync(file),
        directory,
      },
      isRunning,
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('a run ends the engine that it started', () =>
  withEngine(async (engine, isRunning) => {
    const run = await lease(engine);
    assert.ok(isRunning());
    assert.is(await run.leave(), true);
    assert.not(isRunning());
  }));

test('an engine that was there before stays', () =>
  withEngine(async (engine, isRunning) => {
    await engine.start();
    assert.is(await (await lease(engine)).leave(), false);
    assert.ok(isRunning());
  }));

test('of runs that share an engine, the last one ends it', () =>
  withEngine(async (engine, isRunning) => {
    const outer = await lease(engine);
    const inner = await lease(engine);
    assert.is(await inner.leave(), false);
    assert.ok(isRunning());
    const second = await lease(engine);
    assert.is(await outer.leave(), false, 'the one that started it is not the last');
    assert.ok(isRunning());
    assert.is(await second.leave(), true);
    assert.not(isRunning());
  }));

test('a run that starts nothing holds nothing', () =>
  withEngine(async (engine, isRunning) => {
    const broken = { ...engine, start: () => Promise.reject(new Error('no engine can be had')) };
    const said = await lease(broken).then(
      () => '',
      (error: Error) => error.message,
    );
    assert.is(said, 'no engine can be had');
    assert.is(await (await lease(engine)).leave(), true);
    assert.not(isRunning());
  }));

test('the next run removes what a killed run has left', () =>
  withEngine(async (engine, isRunning) => {
    const source = `
      import { writeFileSync } from 'node:fs';
      import { lease } from ${JSON.stringify(join(import.meta.dirname, 'lease.ts'))};
      const file = process.argv[1] + '/engine';
      const start = async () => writeFileSync(file, '');
      const stop = async () => {};
      let running = false;
      await lease({ isRunning: () => running || !(running = true), start, stop, directory: process.argv[1] });
      console.log('it has its lease');
      setInterval(() => {}, 1000);`;
    const args = ['--input-type=module-typescript', '--eval', source, engine.directory];
    const killed = startChild(process.execPath, args);
    await killed.line(/it has its lease/);
    assert.ok(isRunning());
    const beside = await lease(engine);
    assert.is(await beside.leave(), false, 'the other still works');
    await killed.stop('SIGKILL');
    assert.ok(isRunning());
    assert.is(await (await lease(engine)).leave(), true);
    assert.not(isRunning());
  }));

test.run();
