/* Keys of authorized_keys: what counts as one, and which lines the deploy user has in the end. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { keyDifferences, lineFor, withKeys } from '../../scripts/lib/server/deploy-user.ts';
import { optionsOf, parseKey } from '../../scripts/lib/server/public-keys.ts';

const directory = mkdtempSync(join(tmpdir(), 'keys-'));
const makeKey = (name: string, type = 'ed25519') => {
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', name, '-f', join(directory, name)]);
  return readFileSync(join(directory, `${name}.pub`), 'utf8').trim();
};
const [key, other, ecdsa] = [makeKey('workflow'), makeKey('other'), makeKey('old', 'ecdsa')] as const;
rmSync(directory, { recursive: true });
const config = { environment: 'production', deployKeys: [key] } as const;
const mended = (text: string, its: Parameters<typeof withKeys>[1] = config) => withKeys(text, its);

test('a line with a key of any type, with and without options and comment', () => {
  for (const line of [key, ecdsa, `restrict ${key}`, ` ${key}`, key.split(' ').slice(0, 2).join(' ')])
    assert.ok(parseKey(line), line);
  const forced = `command="echo \\"ssh-ed25519 AAAA\\" #",no-pty ${key}`;
  assert.is(parseKey(forced)?.comment, 'workflow');
  assert.is(optionsOf(forced), 'command="echo \\"ssh-ed25519 AAAA\\" #",no-pty');
  assert.is(optionsOf(key), '');
});

test('no key: comments, half of a key, a type that is not the key’s, other text', () => {
  const [type, blob] = key.split(' ') as [string, string];
  for (const line of [
    '',
    '# ' + key,
    `#${key}`,
    `${type} ${blob.slice(0, 30)}`,
    `ssh-rsa ${blob}`,
    `${type} !${blob}`,
    'ssh-ed25519',
    type + blob,
  ])
    assert.is(parseKey(line), undefined, line);
});

test('a key of the configuration becomes a forced command of its environment, once', () => {
  const line = lineFor(key, config);
  assert.match(line, /^restrict,command="\/.*\/scripts\/ssh-command\.ts --env production" ssh-ed25519 /);
  assert.is(mended(''), `${line}\n`);
  assert.is(mended(`${line}\n`), `${line}\n`);
  assert.is(mended(`${key}\n`), `${line}\n`, 'a line that let it run any command is replaced');
  assert.is(mended(`no-pty ${key} another name\n`), `${line}\n`);
  assert.equal(keyDifferences(mended(''), config), []);
});

test('the line of the other environment and comments stay', () => {
  const staging = lineFor(key, { environment: 'staging' });
  assert.is(mended(`# keys\n${staging}\n`), `# keys\n${staging}\n${lineFor(key, config)}\n`);
});

test('a file that has the line keeps its order, its empty lines and its end', () => {
  const text = `# mine\n\n${lineFor(key, config)}\n${other}`;
  assert.is(mended(text), text);
  assert.is(mended(`${other}`), `${other}\n${lineFor(key, config)}\n`);
});

test('a key that nobody configured and that can run any command is named, and stays', () => {
  for (const free of [
    other,
    `restrict ${other}`,
    `command="/bin/sh" ${other}`,
    `restrict,command="/bin/sh -c id;/opt/acme/scripts/ssh-command.ts --env production" ${other}`,
    `restrict,pty,command="/opt/acme/scripts/ssh-command.ts --env production;id" ${other}`,
  ]) {
    const after = mended(`${free}\n`);
    assert.ok(after.includes(free));
    assert.equal(
      keyDifferences(after, config),
      ['the key other of ~deploy/.ssh/authorized_keys can run any command'],
      free,
    );
  }
});

test('nothing configured: an empty file stays empty', () => {
  assert.is(mended('', { environment: 'production', deployKeys: [] }), '');
  assert.is(mended('\n', { environment: 'production', deployKeys: [] }), '\n');
});

test.run();
