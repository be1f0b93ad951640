/* .env.example is the documentation of the configuration: it names what scripts read, all of it, and is valid. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'dotenv';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig, ROOT } from '../../scripts/lib/config/config.ts';
import { VARIABLES } from '../../scripts/lib/config/variables.ts';

const text = readFileSync(join(ROOT, '.env.example'), 'utf8');
const named = [...text.matchAll(/^(?:# )?([A-Z][A-Z0-9_]*)=/gm)].map(([, name]) => name!);

test('every variable that scripts read is explained', () => {
  assert.equal(
    VARIABLES.filter(name => !named.includes(name)),
    [],
  );
});

test('a copy of it is a valid configuration, the same as none at all but for what it must name', () => {
  const nothing = { POSTGRES_CONTAINER: undefined };
  assert.equal(loadConfig('production', { ...parse(text), ...nothing }), loadConfig('production', nothing));
});

test.run();
