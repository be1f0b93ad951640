import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../scripts/lib/config.ts';

const scripts = globSync('scripts/*.ts', { cwd: ROOT }).map(path => join(ROOT, path));
assert.ok(scripts.length >= 6, 'the scripts are found');

/** What a script can't do without. */
const ARGUMENTS: Record<string, string[]> = {
  'restore.ts': ['latest'],
  'scale.ts': ['3'],
  'schedule.ts': ['next'],
  'ssh-command.ts': ['--env', 'production'],
  'verify-backup.ts': ['latest'],
};

/** Runs a program as cron does: from /, with next to nothing in its environment. */
function asCron(program: string, args: string[], env: Record<string, string> = {}) {
  const options = { cwd: '/', env: { PATH: '/usr/bin:/bin', ...env }, encoding: 'utf8' } as const;
  const { status, stdout, stderr } = spawnSync(program, args, { ...options, input: '' });
  return { status, stdout, stderr };
}

test('all scripts start in the same way, and with no compiler in the background that could keep them from ending', () => {
  const [first, ...others] = scripts.map(path => readFileSync(path, 'utf8').split('\n')[0]!);
  assert.match(first!, / --no-concurrent-sparkplug --no-concurrent-recompilation "\$0" "\$@"'$/);
  assert.ok(first!.length < 255, 'the kernel reads no more of it');
  for (const other of others) assert.is(other, first);
});

for (const script of scripts) {
  const name = basename(script);
  const usage = name === 'health-check.ts' ? 3 : 2; // unknown, as Nagios has it
  const arguments_ = ARGUMENTS[name] ?? [];

  test(`${name} --help: what, usage, options, examples, exit codes`, () => {
    const { status, stdout, stderr } = asCron(script, ['--help']);
    assert.is(status, 0, stderr);
    assert.is(stderr, '');
    const [summary, , ...rest] = stdout.split('\n');
    assert.ok(summary!.length > 20 && summary!.endsWith('.'), summary);
    const sections = ['Usage', 'Options', 'Examples', 'Exit codes'].map(title => rest.indexOf(title));
    assert.ok(sections[0]! >= 0, stdout);
    assert.equal(
      sections,
      [...sections].sort((a, b) => a - b),
    );
    const section = (index: number) => rest.slice(sections[index]! + 1, sections[index + 1]).join('\n');
    assert.match(section(0), new RegExp(`^  ${name} `));
    for (const option of ['--env', '--json', '--help'])
      assert.match(section(1), new RegExp(`^  ${option}\\b`, 'm'));
    // Every option of the usage lines is explained.
    const forms = section(0)
      .split('\n')
      .filter(line => line.startsWith(`  ${name} `))
      .join('\n');
    for (const [option] of forms.matchAll(/--[a-z-]+/g))
      assert.match(section(1), new RegExp(`^  ${option}\\b`, 'm'));
    assert.match(section(2), new RegExp(`^  ${name}`, 'm'));
    for (const code of [0, usage]) assert.match(section(3), new RegExp(`^  ${code} `, 'm'));
    assert.not.ok(stdout.includes('undefined') || stdout.includes('\u001b'), stdout);
  });

  test(`${name}: an unknown flag, a flag without its value and an argument too many are wrong usage`, () => {
    for (const args of [['--no-such-flag'], ['--env'], ['--yes=maybe'], ['a', 'b'], ['--env', 'prod']]) {
      const { status, stdout, stderr } = asCron(script, args);
      assert.is(status, usage, `${args}: ${stderr}`);
      assert.is(stdout, '');
      assert.match(stderr, /^error: .+\n {2}→ .+\n$/, args.join(' '));
      assert.not.match(stderr, /this is a bug|at .*\.ts:/);
    }
  });

  test(`${name} --json: an error is JSON too`, () => {
    const { status, stdout } = asCron(script, [...arguments_, '--json', '--env', 'nowhere']);
    assert.is(status, usage);
    const { error } = JSON.parse(stdout);
    assert.is(error.exitCode, usage);
    assert.match(error.message, /nowhere/);
    assert.ok(error.hint.length > 5);
  });

  test(`${name}: a bad configuration is said as a whole, without a value`, () => {
    const bad = { POSTGRES_PASSWORD: 'pass-secret', PGPORT: 'port-secret', SLACK_WEBHOOK_URL: 'hook-secret' };
    const { status, stdout, stderr } = asCron(script, arguments_, bad);
    assert.is(status, usage, stderr);
    assert.match(stderr, /PGPORT: a port number\n.*SLACK_WEBHOOK_URL: an http\(s\) URL\n/);
    assert.not.match(stdout + stderr, /secret/);
  });

  test(`${name} does nothing when it is imported, and is found through a link`, () => {
    const imported = asCron(process.execPath, ['-e', `await import(${JSON.stringify(script)})`]);
    assert.equal(imported, { status: 0, stdout: '', stderr: '' });
    const directory = mkdtempSync(join(tmpdir(), 'link to '));
    try {
      symlinkSync(script, join(directory, name));
      assert.is(asCron(join(directory, name), ['--help']).status, 0);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}

test.run();
