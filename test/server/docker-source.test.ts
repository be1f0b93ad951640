/* Where Docker comes from, and whose key its repository has. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isOlder } from '../../scripts/lib/server/docker.ts';
import { majorOf, parsePolicy, refuseOtherKey } from '../../scripts/lib/server/docker-source.ts';
import { fingerprints } from '../../scripts/lib/server/openpgp.ts';

const home = mkdtempSync(join(tmpdir(), 'gpg-'));
const gpg = (...args: string[]) =>
  execFileSync('gpg', ['--homedir', home, '--batch', '--quiet', '--yes', '--passphrase', '', ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
const makeKey = (name: string, algorithm: string) => {
  gpg('--quick-generate-key', name, algorithm, 'sign', 'never');
  const listed = gpg('--list-keys', '--with-colons', name);
  return { fingerprint: /^fpr:+([0-9A-F]+):/m.exec(listed)![1]!, armored: gpg('--armor', '--export', name) };
};
const rsa = makeKey('rsa@test', 'rsa2048');
const ed = makeKey('ed@test', 'ed25519');
gpg('--quick-add-key', rsa.fingerprint, 'rsa2048', 'encrypt', 'never');
const withSubkey = gpg('--armor', '--export', 'rsa@test');
const both = gpg('--armor', '--export', 'rsa@test', 'ed@test');
execFileSync('gpgconf', ['--homedir', home, '--kill', 'all']);
rmSync(home, { recursive: true });

test('the fingerprints of a file are those that gpg says', () => {
  assert.equal(fingerprints(rsa.armored), [rsa.fingerprint]);
  assert.equal(fingerprints(ed.armored), [ed.fingerprint]);
  assert.equal(fingerprints(withSubkey), [rsa.fingerprint], 'a subkey belongs to its key');
  assert.equal(fingerprints(withSubkey.replaceAll('\n', '\r\n')), [rsa.fingerprint]);
});

test('every key of a file is seen: in one block, and in a second one', () => {
  assert.equal(fingerprints(both).sort(), [rsa.fingerprint, ed.fingerprint].sort());
  assert.equal(fingerprints(rsa.armored + ed.armored), [rsa.fingerprint, ed.fingerprint]);
});

test('another key, two keys, a page of HTML and half of a key are refused', () => {
  for (const text of [rsa.armored, both, '<html></html>', '', rsa.armored.slice(0, 300)])
    assert.throws(() => refuseOtherKey(text), /the key of Docker’s repository is not the one of Docker/);
  const lines = rsa.armored.split('\n');
  const cut = [...lines.slice(0, 6), ...lines.slice(-3)].join('\n');
  assert.throws(() => refuseOtherKey(cut), /cut short/);
});

test('versions: what apt would install, and what the stack needs', () => {
  const text =
    'docker.io:\n  Installed: (none)\n  Candidate: 26.1.5+dfsg1-9+b4\n  Version table:\n' +
    'docker-cli:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n';
  assert.equal([...parsePolicy(text)], [['docker.io', '26.1.5+dfsg1-9+b4']]);
  assert.equal(
    ['26.1.5+dfsg1-9', '5:27.3.1-1~debian.12~bookworm', '20.10.24+dfsg1-1', '', undefined].map(majorOf),
    [26, 27, 20, 0, 0],
  );
  assert.equal(['2.26.1', 'v2.40.0', '3.0.0', '2.26.1-4', '2.25.9', '1.29.2', ''].map(isOlder), [
    false,
    false,
    false,
    false,
    true,
    true,
    true,
  ]);
});

test.run();
