/* One product name, one domain: only their defaults, where they are declared, are in the files that run. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../scripts/lib/config/config.ts';

const SKIPPED = new Set('node_modules test .git backups logs state .env.production .env.staging'.split(' '));
/** Describes the installation that this product had before; another product never had it. */
const OLD = 'docs/SWITCH.md';
const files = readdirSync(ROOT, { withFileTypes: true })
  .filter(({ name }) => !SKIPPED.has(name))
  .flatMap(entry =>
    entry.isFile()
      ? [entry.name]
      : readdirSync(join(ROOT, entry.name), { withFileTypes: true, recursive: true })
          .filter(each => each.isFile())
          .map(({ parentPath, name }) => relative(ROOT, join(parentPath, name))),
  );

/** What of a line is a default. */
const DEFAULTS: Record<string, RegExp> = {
  'docker-compose.production.yml': /\$\{APP_NAME:-neurmatic\}|(?<=\$\{DOMAIN:-)neurmatic\.com/g,
  'docker-compose.staging.yml': /\$\{APP_NAME:-neurmatic\}|(?<=\$\{DOMAIN:-staging\.)neurmatic\.com/g,
  '.env.example':
    /Default: neurmatic\b|^APP_NAME=neurmatic$|Default: neurmatic\.com|^# staging\.neurmatic\.com\./gm,
  'docs/ENVIRONMENT_MANAGEMENT.md':
    /\| `neurmatic` +\||Default: neurmatic\.com, in staging staging\.neurmatic\.com\./g,
  'scripts/lib/config/stack-variables.ts':
    /default: 'neurmatic'|Default: neurmatic\.com|'staging\.neurmatic\.com\./g,
  'scripts/lib/config/site.ts': /\$\{prefix\}neurmatic\.com/g,
  'package.json': /"name": "neurmatic-infrastructure"/g,
  'package-lock.json': /"name": "neurmatic-infrastructure"/g,
};

test('no file of the product but the declarations of the defaults names it', () => {
  for (const path of [
    'nginx/production.conf',
    'docs/RUNBOOK.md',
    '.dclintrc.yaml',
    '.github/workflows/ci.yml',
    ...Object.keys(DEFAULTS),
  ])
    assert.ok(files.includes(path), path);
  const naming = files.filter(path => {
    if (path === OLD) return false;
    const text = readFileSync(join(ROOT, path), 'utf8');
    return /neurmatic/i.test(DEFAULTS[path] ? text.replace(DEFAULTS[path], '') : text);
  });
  assert.equal(naming, []);
});

test.run();
