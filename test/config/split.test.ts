/* Which lines of an env file move to the application's file, byte by byte. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { valuesOf } from '../../scripts/lib/config/env-file.ts';
import { partsOf } from '../../scripts/lib/config/env-lines.ts';
import { splitText } from '../../scripts/lib/config/split.ts';
import { CLEAR } from '../support/config/env-lines.ts';

const HEAD = splitText('A=1\n', '').app.split('\n\n')[0] + '\n\n';

test('the comments above a variable go with it; the rest keeps its order and each byte', () => {
  const env = `# Copied from the example.

# ── The stack ──

# of Redis
REDIS_PASSWORD='a # b'  # kept

# Signs tokens.
# A new one: openssl rand
JWT_SECRET='x y' # since May

APP_NAME=shop
COMPOSE_PROFILES=backup

# Mail
SMTP_HOST=mail.example
export SMTP_PASSWORD='it\\'s'
`;
  const { env: rest, app, moved, clashes } = splitText(env, '');
  assert.equal(moved, ['JWT_SECRET', 'SMTP_HOST', 'SMTP_PASSWORD']);
  assert.equal(clashes, []);
  assert.is(
    rest,
    `# Copied from the example.

# ── The stack ──

# of Redis
REDIS_PASSWORD='a # b'  # kept

APP_NAME=shop
COMPOSE_PROFILES=backup

`,
  );
  assert.is(
    app,
    `${HEAD}# Signs tokens.
# A new one: openssl rand
JWT_SECRET='x y' # since May
# Mail
SMTP_HOST=mail.example
export SMTP_PASSWORD='it\\'s'
`,
  );
});

test('a comment above variables that stay as well is copied', () => {
  const { env, app } = splitText('# Secrets\nJWT_SECRET=1\nREDIS_PASSWORD=2\nCORS_ORIGIN=3', '');
  assert.is(env, '# Secrets\nREDIS_PASSWORD=2\n');
  assert.is(app, `${HEAD}# Secrets\nJWT_SECRET=1\nCORS_ORIGIN=3\n`);
});

test('what the application’s file has already is only removed; another value is a clash', () => {
  const env = 'A=1\nB=2\nC=3\n';
  assert.equal(splitText(env, 'B=2'), {
    env: '',
    app: 'B=2\n\nA=1\nC=3\n',
    moved: ['A', 'B', 'C'],
    clashes: [],
  });
  assert.equal(splitText(env, "A='1'\nB=2\nC=3\n").app, "A='1'\nB=2\nC=3\n", 'written as it was');
  assert.equal(splitText(env, 'A=1\nB=3\nC=\n').clashes, ['B', 'C']);
  assert.equal(splitText('A=1\nconstructor=2\n', 'A=1\n').moved, ['A', 'constructor']);
});

test('a run that was killed after the first file is ended by the next one, and a third one finds nothing', () => {
  const env = '# a\nA=1\nAPP_NAME=shop\n\n# b\nB=2\n';
  const whole = splitText(env, '');
  const again = splitText(env, whole.app);
  assert.equal([again.env, again.app], [whole.env, whole.app]);
  assert.equal(splitText(whole.env, whole.app), { env: whole.env, app: whole.app, moved: [], clashes: [] });
});

test('values of every form move whole: of several lines, with CRLF, after a BOM, twice, without an end of line', () => {
  const key = "KEY='-----BEGIN KEY-----\nabc#def\n\n-----END KEY-----'\n";
  assert.equal(splitText(`APP_NAME=a\n${key}REDIS_PASSWORD=b\n`, '').env, 'APP_NAME=a\nREDIS_PASSWORD=b\n');
  assert.is(splitText(key, '').app, HEAD + key);
  assert.equal(splitText('\ufeffA=1\r\nAPP_NAME=x\r\n', ''), {
    env: '\ufeffAPP_NAME=x\r\n',
    app: `${HEAD}A=1\r\n`,
    moved: ['A'],
    clashes: [],
  });
  assert.is(splitText('A=1\nA=2', '').app, `${HEAD}A=1\nA=2\n`);
  assert.is(splitText('\n\n\nA=1\n\n\nAPP_NAME=x\n', '').env, '\n\n\n\nAPP_NAME=x\n');
  for (const [behind, value] of Object.entries(CLEAR)) {
    const { env, app } = splitText(`APP_NAME=x\nV=${behind}\nREDIS_PASSWORD=y\n`, '');
    assert.is(env, 'APP_NAME=x\nREDIS_PASSWORD=y\n', behind);
    assert.equal(valuesOf(app), { V: value }, behind);
  }
});

test('the parts of a file are the file', () => {
  for (const text of [
    '',
    '\n',
    '\ufeff',
    'A=1',
    '# x\n\nA="b\nB=$c\n?\n',
    ...Object.keys(CLEAR).map(each => `A=${each}`),
  ])
    assert.is(
      partsOf(text)
        .map(part => part.text)
        .join(''),
      text,
    );
});

test.run();
