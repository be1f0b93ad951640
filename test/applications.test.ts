/* The tests of deployments run with both applications of test/app: the files of test/stack, and those that repeat them. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../scripts/lib/config/config.ts';
import { applicationOfTest, OTHER, REFERENCE } from './support/app/app-images.ts';

test('each test with a stack of the application has a file that repeats it with the other one', () => {
  const cwd = join(ROOT, 'test/stack');
  const repeated = globSync('*.test.ts', { cwd }).filter(name =>
    /\bstart(Deployable|Visited)\(/.test(readFileSync(join(cwd, name), 'utf8')),
  );
  assert.ok(repeated.length >= 7, repeated.join());
  const others = join(ROOT, 'test/long/stack/other');
  assert.equal(globSync('*.test.ts', { cwd: others }).sort(), repeated.sort());
  for (const name of repeated) {
    const text = readFileSync(join(others, name), 'utf8');
    assert.is(text, `import './application.ts';\nimport '../../../stack/${name}';\n`);
  }
});

test('TEST_APPLICATION names the application, and an unknown one is refused', () => {
  const before = process.env.TEST_APPLICATION;
  const named = (name?: string) => {
    if (name === undefined) delete process.env.TEST_APPLICATION;
    else process.env.TEST_APPLICATION = name;
    return applicationOfTest();
  };
  try {
    assert.equal([named(), named('reference'), named('other')], [REFERENCE, REFERENCE, OTHER]);
    for (const wrong of ['', 'Other', 'second'])
      assert.throws(() => named(wrong), /TEST_APPLICATION is .*; it must be reference or other/);
  } finally {
    if (before === undefined) delete process.env.TEST_APPLICATION;
    else process.env.TEST_APPLICATION = before;
  }
});

test('what is expected of an application is what its variables say', () => {
  for (const { variables, ...told } of [REFERENCE, OTHER]) {
    const {
      BACKEND_PORT = '3000',
      HEALTH_PATH = '/api/v1/health',
      METRICS_PATH = '/api/v1/metrics',
    } = variables;
    const { UPLOAD_PATHS = '/api/v1/uploads:50m' } = variables;
    assert.equal(
      [`${told.backendPort}`, told.healthPath, told.metricsPath, told.uploadPath],
      [BACKEND_PORT, HEALTH_PATH, METRICS_PATH, UPLOAD_PATHS.split(':')[0]],
    );
  }
});

test.run();
