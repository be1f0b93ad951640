/* What export says of GitHub is what the workflows use, and what the page says. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { SETTINGS, settingsOnGitHub } from '../../scripts/lib/secrets/github.ts';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const workflows = globSync('.github/workflows/*.yml', { cwd: ROOT }).map(read).join('\n');
/** GitHub gives this one to each run. */
const GIVEN = 'GITHUB_TOKEN';

for (const [kind, context] of [
  ['secret', 'secrets'],
  ['variable', 'vars'],
] as const)
  test(`each ${kind} of the workflows has its line, and no line is idle`, () => {
    const used = [...workflows.matchAll(new RegExp(`\\b${context}\\.([A-Z_]+)`, 'g'))].map(
      ([, name]) => name!,
    );
    const known = SETTINGS.filter(each => each.kind === kind).map(({ name }) => name);
    assert.equal([...new Set(used)].filter(name => name !== GIVEN).sort(), known.toSorted());
  });

test('the page has the same names, kinds and places', () => {
  const rows = [
    ...read('docs/PRODUCTION_INFRASTRUCTURE.md').matchAll(
      /^\| `([A-Z_]+)` +\| (secret|variable) +\| ([a-z ]+?) +\|/gm,
    ),
  ].map(([, name, kind, where]) => [name, kind, where!.replace('each ', '')]);
  assert.equal(rows.toSorted(), SETTINGS.map(({ name, kind, where }) => [name, kind, where]).toSorted());
});

test('its commands have no value', () => {
  const { text, json } = settingsOnGitHub('staging');
  assert.match(text!, /^ {2}gh secret set DEPLOY_KEY --env staging$/m);
  assert.match(text!, /^ {2}gh variable set BACKEND_CONTEXT$/m);
  const { settings } = json as { settings: { command: string }[] };
  for (const { command } of settings)
    assert.match(command, /^gh (secret|variable) set [A-Z_]+( --env staging)?$/);
});

test.run();
