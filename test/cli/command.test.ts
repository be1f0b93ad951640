import { execFileSync } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Invocation, parseArguments } from '../../scripts/lib/cli/command.ts';
import { help } from '../../scripts/lib/cli/help.ts';
import { environmentOf, loadConfig, ROOT } from '../../scripts/lib/config/config.ts';
import { OperationalError } from '../../scripts/lib/core/errors.ts';
import { ARGUMENTS, asCron, assertReportsBad, BAD, usageOf } from '../support/cli/as-cron.ts';
import { commandOf as importCommand } from '../support/cli/commands.ts';

const scripts = globSync('scripts/*.ts', { cwd: ROOT }).map(path => join(ROOT, path));
assert.ok(scripts.length >= 12, 'the scripts are found');

/** Whether it is known that importing a script does nothing. A test process must not become a backup. */
let inert = false;

/** @returns the command that a script declares */
function commandOf(script: string) {
  assert.ok(inert, 'not imported');
  return importCommand(script);
}

/** @returns the error that a script's arguments, or its first steps with them, end with */
async function refusal(action: () => unknown): Promise<OperationalError> {
  try {
    await action();
  } catch (error) {
    assert.instance(error, OperationalError, String((error as Error).stack));
    return error as OperationalError;
  }
  throw new Error('it was accepted');
}

test('no script does anything when it is imported', async () => {
  const code = `for (const path of ${JSON.stringify(scripts)}) {
    await import(path);
    console.log(path);
  }`;
  const imported = await asCron(process.execPath, ['-e', code]);
  assert.equal(imported, { status: 0, stdout: scripts.map(path => `${path}\n`).join(''), stderr: '' });
  inert = true;
});

for (const script of scripts) {
  const name = basename(script);
  const usage = usageOf(name);
  const arguments_ = ARGUMENTS[name] ?? [];

  test(`${name} --help: what, usage, options, examples, exit codes`, async () => {
    const text = help(name, await commandOf(script));
    const [summary] = text.split('\n\n');
    const rest = text.slice(summary!.length + 2).split('\n');
    assert.ok(summary!.length > 20 && summary!.endsWith('.'), summary);
    const sections = ['Usage', 'Options', 'Examples', 'Exit codes'].map(title => rest.indexOf(title));
    assert.ok(sections[0]! >= 0, text);
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
    assert.match(section(2), new RegExp(`^  \\./scripts/${name}`, 'm'));
    for (const code of [0, usage]) assert.match(section(3), new RegExp(`^  ${code} `, 'm'));
    for (const line of text.split('\n'))
      assert.ok(line.length <= 80 || line.startsWith('  restrict,'), `${line.length} columns: ${line}`);
    assert.not.ok(text.includes('undefined') || text.includes('\u001b'), text);
  });

  test(`${name}: an unknown flag, a flag without its value and an argument too many are wrong usage`, async () => {
    const command = await commandOf(script);
    const words = [...Array(Math.max(2, command.positionals ?? 0)).fill('a'), 'c'];
    for (const args of [['--no-such-flag'], ['--env'], ['--yes=maybe'], words]) {
      const { message, hint, exitCode } = await refusal(() => parseArguments(command, args));
      assert.match(message, /^(Unknown option|Option '--|unexpected argument "c")/);
      assert.is(hint, 'see --help.');
      assert.is(exitCode, 2);
    }
  });

  test(`${name}: an unknown environment is refused before anything else`, async () => {
    const command = await commandOf(script);
    const given = parseArguments(command, [...arguments_, '--env', 'nowhere']);
    const config = () => loadConfig(environmentOf(given.options.env as string));
    const invocation = { ...given, config } as Invocation<Record<string, never>>;
    const { message, hint, exitCode } = await refusal(() => command.run(invocation as never));
    assert.match(message, /"nowhere"/);
    assert.match(hint, /--env production or --env staging/);
    assert.is(exitCode, 2);
  });

  if (name === 'config.ts') continue; // its result is what is wrong
  if (name === 'init.ts') continue; // reads a configuration only after it has written one; test/integration/init.test.ts
  test(`${name}: a bad configuration is refused before anything else`, async () => {
    const command = await commandOf(script);
    const given = parseArguments(command, arguments_);
    const config = () => loadConfig('production', BAD);
    const { message, exitCode } = await refusal(() => command.run({ ...given, config } as never));
    assert.match(message, /PGPORT: a port number\n.*SLACK_WEBHOOK_URL: an http\(s\) URL$/);
    assert.is(exitCode, 2);
    assert.not.match(message, /secret/);
  });
}

/** Of every script: test/long/cli/command.test.ts. */
for (const name of ['backup.ts', 'health-check.ts'])
  test(`${name}: a bad configuration is reported completely, without a value, and with --json as JSON too`, () =>
    assertReportsBad(name));

test('-h is --help, and --version is that of the package', async () => {
  const { options } = parseArguments(await commandOf(join(ROOT, 'scripts/restore.ts')), ['-h']);
  assert.ok(options.help);
  const shown = await asCron(join(ROOT, 'scripts/restore.ts'), ['--version']);
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  assert.equal([shown.status, shown.stderr], [0, '']);
  assert.match(
    shown.stdout,
    new RegExp(`^restore\\.ts ${version.replaceAll('.', '\\.')}( \\([0-9a-f]{7,40}\\+?\\))?\n$`),
  );
  const [, newest] = /^## (\S+)$/m.exec(readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8'))!;
  assert.is(newest, version, 'CHANGELOG.md begins with the version of package.json');
});

test('--version names the commit of a checkout of its own, and of no other', async () => {
  const outer = mkdtempSync(join(tmpdir(), 'checkout-'));
  try {
    const root = join(outer, 'repository');
    for (const name of ['scripts', 'package.json'])
      cpSync(join(ROOT, name), join(root, name), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
    const git = (cwd: string, ...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@example.org', ...args], {
        cwd,
        encoding: 'utf8',
      });
    const commit = (cwd: string) => {
      git(cwd, 'init', '--quiet');
      git(cwd, 'add', 'package.json');
      git(cwd, 'commit', '--quiet', '--message', 'first');
    };
    const version = async () => (await asCron(join(root, 'scripts/scale.ts'), ['--version'])).stdout;
    cpSync(join(ROOT, 'package.json'), join(outer, 'package.json'));
    commit(outer);
    assert.match(await version(), /^scale\.ts [\d.]+\n$/);
    commit(root);
    const hash = git(root, 'rev-parse', '--short', 'HEAD').trim();
    assert.match(await version(), new RegExp(`^scale\\.ts [\\d.]+ \\(${hash}\\)\n$`));
    writeFileSync(join(root, 'package.json'), '{"type":"module","version":"9.9.9"}');
    assert.is(await version(), `scale.ts 9.9.9 (${hash}+)\n`);
  } finally {
    rmSync(outer, { recursive: true });
  }
});

test('--help is shown on stdout, also by a script that is called through a link', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'link to '));
  try {
    const script = join(ROOT, 'scripts/backup.ts');
    symlinkSync(script, join(directory, 'backup.ts'));
    const shown = await asCron(join(directory, 'backup.ts'), ['--help']);
    const text = help('backup.ts', await commandOf(script));
    assert.equal(shown, { status: 0, stdout: text, stderr: '' });
  } finally {
    rmSync(directory, { recursive: true });
  }
});

for (const [name, usage, ...all] of [
  ['backup.ts', 2, ['--no-such-flag'], ['--env', 'prod']],
  ['health-check.ts', 3, ['--no-such-flag']],
] as const) {
  test(`${name}: wrong usage is reported in two lines, with nothing on stdout`, async () => {
    for (const args of all) {
      const { status, stdout, stderr } = await asCron(join(ROOT, 'scripts', name), [...args]);
      assert.is(status, usage, `${args}: ${stderr}`);
      assert.is(stdout, '');
      assert.match(stderr, /^error: .+\n {2}→ .+\n$/, args.join(' '));
    }
  });
}

test('a command gets nothing of what the launcher sets for Node', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cli-'));
  const at = (name: string) => join(directory, name);
  writeFileSync(at('psql'), `#!/bin/sh\nenv > "${at('environment')}"; exit 1\n`, { mode: 0o755 });
  try {
    const { status, stderr } = await asCron(join(ROOT, 'scripts/backup.ts'), ['--dry-run'], {
      PATH: `${directory}:/usr/bin:/bin`,
      POSTGRES_CONTAINER: '',
      BACKUP_DIR: at('backups'),
      LOG_DIR: at('logs'),
    });
    assert.is(status, 1, stderr);
    const environment = readFileSync(at('environment'), 'utf8');
    assert.match(environment, /^PGUSER=postgres$/m);
    assert.not.match(environment, /^NODE_/m);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test.run();
