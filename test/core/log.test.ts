import { execFileSync } from 'node:child_process';
import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { percentEncoded } from '../../scripts/lib/core/format.ts';
import { CRON_LOG, LOG_BOUNDS, log, logTo } from '../../scripts/lib/core/log.ts';
import { failureIn } from '../../scripts/lib/core/program-output.ts';
import { hideSecrets, redact } from '../../scripts/lib/core/redact.ts';
import { record } from '../../scripts/lib/core/run-history.ts';
import { captured } from '../support/core/here.ts';

test('a secret is hidden in each message, on stderr and in the log file', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'log-'));
  const file = join(directory, 'logs/test.log');
  hideSecrets(['p@ss w"rd']);
  logTo(file);
  const levels = [log.info, log.done, log.warn, log.error];
  const { stderr } = await captured(async () => {
    for (const level of levels) level('url p%40ss%20w%22rd, json {"key":"p@ss w\\"rd"}, text p@ss w"rd');
  });
  const hidden = 'url ***, json {"key":"***"}, text ***';
  for (const shown of [stderr, readFileSync(file, 'utf8')])
    assert.equal(
      shown.split('\n').map(line => line.slice(-hidden.length)),
      [...levels.map(() => hidden), ''],
    );
  rmSync(directory, { recursive: true });
});

test('a secret is hidden in the line that shows progress on a terminal', async () => {
  const { isTTY } = process.stderr;
  process.stderr.isTTY = true;
  try {
    hideSecrets(['p@ss w"rd']);
    const { stderr } = await captured(async () => log.status('Dumping p@ss w"rd'));
    assert.ok(stderr.endsWith('Dumping ***'), stderr);
  } finally {
    process.stderr.isTTY = isTTY;
  }
});

/** Has a directory of logs in which one has this size. */
async function withLog(name: string, size: number, body: (path: string, directory: string) => unknown) {
  const directory = mkdtempSync(join(tmpdir(), 'log-'));
  writeFileSync(join(directory, name), 'a'.repeat(size), { mode: 0o600 });
  try {
    const done = await captured(async () => body(join(directory, name), directory));
    assert.is(done.error, '');
    return done;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('a message rotates a log that has reached its limit; a run that only looks rotates none', async () => {
  await withLog('deploy.log', LOG_BOUNDS.limit, (path, directory) => {
    writeFileSync(join(directory, CRON_LOG), 'a'.repeat(LOG_BOUNDS.limit));
    logTo(path, true);
    assert.equal(readdirSync(directory).sort(), [CRON_LOG, 'deploy.log']);
    logTo(path);
    assert.equal(readdirSync(directory).sort(), [CRON_LOG, `${CRON_LOG}.1`, 'deploy.log']);
    assert.is(statSync(join(directory, CRON_LOG)).size, 0);
    log.info('first');
    log.info('second');
    const text = readFileSync(path, 'utf8');
    assert.equal(
      text.split('\n').map(line => line.replace(/.*info: /, '')),
      ['first', 'second', ''],
    );
    assert.is(statSync(`${path}.1`).size, LOG_BOUNDS.limit);
    assert.equal(
      [path, `${path}.1`].map(each => statSync(each).mode & 0o777),
      [0o600, 0o600],
    );
  });
});

test('a log that can’t be rotated is written to, and the reason is said once', async () => {
  const { stderr } = await withLog('target', LOG_BOUNDS.limit, (target, directory) => {
    const path = join(directory, 'linked.log');
    symlinkSync(target, path);
    logTo(path);
    log.info('first');
    log.info('second');
    const written = readFileSync(target, 'utf8').slice(LOG_BOUNDS.limit);
    assert.match(written, /^.* warning: .*symbolic link\n.*\n.*info: first\n.*info: second\n$/);
    assert.ok(lstatSync(path).isSymbolicLink());
  });
  assert.is(stderr.match(/linked\.log .* is not rotated/g)?.length, 1, stderr);
});

test('a log that is a FIFO which nobody reads does not stop the run', async () => {
  const { stderr } = await withLog('other', 0, (_, directory) => {
    const path = join(directory, 'fifo.log');
    execFileSync('mkfifo', [path]);
    logTo(path);
    log.info('first');
    log.info('second');
    assert.ok(lstatSync(path).isFIFO());
  });
  assert.is(stderr.match(/no more messages to .*fifo\.log: ENXIO/g)?.length, 1, stderr);
  assert.match(stderr, /second/);
});

test('the history is rotated too, and has each run', async () => {
  await withLog('history.jsonl', LOG_BOUNDS.limit, (path, directory) => {
    const entry = { script: 'backup.ts', arguments: [], environment: 'production', exitCode: 0, seconds: 1 };
    record(directory, entry);
    record(directory, entry);
    assert.is(readFileSync(path, 'utf8').trim().split('\n').length, 2);
    assert.is(statSync(`${path}.1`).size, LOG_BOUNDS.limit);
  });
});

test('of secrets that contain or overlap one another, no character is left', () => {
  const inner = 'p4ssword-of-the-server';
  const parts = ['abcdef-secret', 'secret-uvwxyz', 'ababab-ab'];
  // The shorter ones first, as a file can have them.
  hideSecrets([inner, `postgresql://app:${inner}@postgres:5432/app?x=1`, `${inner}-and-more`, ...parts]);
  assert.is(redact(`at postgresql://app:${inner}@postgres:5432/app?x=1, end`), 'at ***, end');
  assert.is(redact(`${inner}-and-more, ${inner}-and-less`), '***, ***-and-less');
  assert.is(redact('<abcdef-secret-uvwxyz>'), '<***>');
  assert.is(redact('<abababab-abab-ab>'), '<ab***ab-ab>');
  assert.is(redact('nothing'), 'nothing');
});

test('a secret is hidden in the forms in which programs write it', () => {
  const secret = `it's (a) * "p@ssw/rd" + 100 %`;
  hideSecrets([secret]);
  const forms = [
    secret,
    encodeURIComponent(secret),
    percentEncoded(secret),
    JSON.stringify(secret).slice(1, -1),
    secret.replaceAll("'", "\\'"),
    secret.replaceAll("'", "'\\''"),
  ];
  assert.is(new Set(forms).size, forms.length);
  for (const form of forms) assert.is(redact(`<${form}>`), '<***>', form);
});

test('each long line of a secret is hidden, also where a program indents or cuts it', () => {
  const lines = ['-----BEGIN PRIVATE KEY-----', 'MIIEvQIBADANBgkqhkiG9w0', 'BAQEFAASCBKcwggSjAgEAAo', 'x9=='];
  hideSecrets([lines.join('\n')]);
  assert.is(redact(`> ${lines[1]}\n>   ${lines[2]}`), '> ***\n>   ***');
});

test('a secret is hidden before a long line of a program is cut', () => {
  const secret = 'a-long-secret-of-a-program';
  hideSecrets([secret]);
  const line = `error: ${'x'.repeat(280)}${secret} and more`;
  assert.not.match(redact(failureIn(line).summary!), 'a-long');
});

test.run();
