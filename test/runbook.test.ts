/* docs/RUNBOOK.md is pasted from at 3 am: what it names has to exist. */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { help } from '../scripts/lib/cli/help.ts';
import { loadConfig, ROOT } from '../scripts/lib/config/config.ts';
import { allChecks } from '../scripts/lib/health/all-checks.ts';
import { commandOf } from './support/cli/commands.ts';

const text = readFileSync(join(ROOT, 'docs/RUNBOOK.md'), 'utf8');
const code = [...text.matchAll(/```bash\n([\s\S]*?)```/g)].map(([, block]) => block!).join('\n');
const compose = readFileSync(join(ROOT, 'docker-compose.production.yml'), 'utf8');
const containers = [...compose.matchAll(/container_name: \$\{APP_NAME:-\w+\}-(\S+)/g)].map(
  ([, rest]) => `$APP_NAME-${rest}`,
);
const services = containers.map(name => name.replace(/^\$APP_NAME-|-production$/g, ''));

/** The text under a heading, to the next one of its kind. */
function section(title: string): string | undefined {
  return text
    .split(/^#{2,3} /m)
    .find(part => part.startsWith(`${title}\n`))
    ?.slice(title.length);
}

test('every line of the health check has its page, in four parts with commands', () => {
  const checks = allChecks(loadConfig('production', {}));
  assert.ok(checks.length > 10);
  for (const { name, page = name } of checks) {
    const found = section(page);
    assert.ok(found, `${page} has no page`);
    const parts = ['Meaning', 'Impact', 'Diagnosis', 'Mitigation'].map(part =>
      found!.indexOf(`**${part}.**`),
    );
    assert.ok(parts[0]! >= 0, page);
    assert.equal(
      parts,
      parts.toSorted((a, b) => a - b),
      page,
    );
    assert.match(found!.slice(parts[2]), /```bash\n/, page);
  }
});

test('every script in it exists, and takes the flags it is given', async () => {
  const helps = new Map<string, string>();
  const lines = [
    ...code.split('\n'),
    ...[...text.matchAll(/`(\.\/scripts\/[^`]+)`/g)].map(([, line]) => line!),
  ];
  const calls = lines.flatMap(line => [...line.matchAll(/\.\/(scripts\/[\w-]+\.ts)([^|&;]*)/g)]);
  assert.ok(calls.length > 10);
  for (const [call, script, args] of calls) {
    assert.ok(existsSync(join(ROOT, script!)), call);
    if (!helps.has(script!))
      helps.set(script!, help(basename(script!), await commandOf(join(ROOT, script!))));
    for (const [flag] of args!.matchAll(/--[\w-]+/g))
      assert.match(helps.get(script!)!, new RegExp(`^  ${flag}\\b`, 'm'), call);
  }
  const only = [...code.matchAll(/--only (\S+)/g)].flatMap(([, names]) => names!.split(','));
  const names = allChecks(loadConfig('production', {})).flatMap(({ name, page }) => [name, page]);
  assert.equal(
    only.filter(name => !names.includes(name)),
    [],
  );
});

test('every container, service and file in it exists', () => {
  assert.ok(services.includes('backend-3'));
  const named = [...text.matchAll(/\$APP_NAME-[\w-]+-production/g)];
  assert.ok(named.length > 5);
  for (const [name] of named) assert.ok(containers.includes(name), name);
  const ups = [...code.matchAll(/docker compose -f (\S+) --env-file \.env\.production up (.*)$/gm)];
  assert.is(ups.length, code.match(/docker compose/g)!.length);
  for (const [line, file, words] of ups) {
    assert.ok(existsSync(join(ROOT, file!)), line);
    for (const word of words!.split(' '))
      assert.ok(
        [
          '-d',
          '--wait',
          '--no-deps',
          '--no-recreate',
          '--force-recreate',
          '--timeout=5',
          ...services,
        ].includes(word),
        line,
      );
  }
  const paths = [...text.matchAll(/(?<![\w/.-])(?:nginx|test|docs)\/[\w./-]+\.\w+/g)];
  assert.ok(paths.length > 0);
  for (const [path] of paths) assert.ok(existsSync(join(ROOT, path)), path);
});

test('its first command takes the product’s name from the env file', () => {
  const command = code.split('\n')[0]!;
  assert.match(command, /^APP_NAME=/);
  const directory = mkdtempSync(join(tmpdir(), 'runbook-'));
  try {
    for (const value of ['acme', "'acme'", '"acme"']) {
      writeFileSync(
        join(directory, '.env.production'),
        `# APP_NAME=old\nAPP_NAME=${value}\nDOMAIN=x.example\n`,
      );
      const script = `${command}\necho $APP_NAME-nginx-production \${APP_NAME}_production`;
      const { stdout } = spawnSync('bash', ['-c', script], { cwd: directory, encoding: 'utf8' });
      assert.is(stdout, 'acme-nginx-production acme_production\n', value);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
  assert.not.match(text, /\$APP_NAME[\w]/, 'needs braces');
});

test('every script has its line in the table of tasks, and a command on the page that the line leads to', () => {
  const table = text.slice(text.indexOf('| Task'), text.indexOf('\n## '));
  const rows = table.split('\n').filter(line => line.includes('](../scripts/'));
  for (const script of globSync('scripts/*.ts', { cwd: ROOT }).map(path => basename(path))) {
    const row = rows.find(line => line.includes(`[\`${script}\`](../scripts/${script})`));
    assert.ok(row, `${script} is in no row`);
    const anchor = /\]\(([^)#]*)#([\w-]+)\)/.exec(row)!;
    const page = anchor[1] ? readFileSync(join(ROOT, 'docs', anchor[1]), 'utf8') : text;
    const found = page.split(/^#{2,3} /m).find(part => slug(part.split('\n')[0]!) === anchor[2]);
    assert.match(
      found ?? '',
      new RegExp(`(scripts/|\\[\`)${script.replaceAll('.', '\\.')}`),
      `${script}: #${anchor[2]}`,
    );
  }
});

const slug = (title: string) =>
  title
    .toLowerCase()
    .replace(/[^\w\s-]/g, '')
    .replaceAll(' ', '-');

test('a script that a section calls is linked there', () => {
  for (const part of text.split(/^## /m).slice(1))
    for (const [, script] of part.matchAll(/\.\/(scripts\/[\w-]+\.ts)/g))
      assert.ok(part.includes(`](../${script})`), `${script} in ${part.split('\n')[0]}`);
});

test.run();
