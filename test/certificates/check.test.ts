/* What is checked of a certificate before it is served, on certificates that openssl makes. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { namesOf, parseChain, trustedRoots } from '../../scripts/lib/certificates/chain.ts';
import { problemsOf } from '../../scripts/lib/certificates/check.ts';
import { type Authority, authority, issue } from '../support/certificates/authority.ts';

const NAMES = ['acme.example', 'www.acme.example', 'api.acme.example'];
const directory = mkdtempSync(join(tmpdir(), 'certificates-'));
process.once('exit', () => rmSync(directory, { recursive: true }));
const root = authority(directory, 'Root');
const intermediate = authority(directory, 'Intermediate', root);
const other = authority(directory, 'Other root');
const inOrder = [intermediate, root];

interface Case {
  names?: string[];
  /** Days from now. */
  from?: number;
  to?: number;
  key?: string[];
  extensions?: string[];
  issuer?: Authority;
  chain?: Authority[];
}

let count = 0;
function made({ names = NAMES, issuer = intermediate, chain = [intermediate], ...rest }: Case = {}) {
  const { certificate, publicKey } = issue(directory, `leaf-${++count}`, { names, issuer, ...rest });
  return { fullchain: certificate + chain.map(each => each.certificate).join(''), publicKey };
}
const judge = (
  { fullchain, publicKey }: { fullchain: string; publicKey: string },
  inPlace?: string,
  roots = [root.certificate],
) =>
  problemsOf(fullchain, publicKey, {
    names: NAMES,
    roots,
    now: new Date(),
    inPlace: inPlace === undefined ? undefined : parseChain(inPlace),
  });

const good = made();

test('ECDSA and RSA, with and without the root, with a wildcard: nothing is wrong', () => {
  assert.equal(judge(good), []);
  assert.equal(judge(made({ key: ['rsa:2048'] })), []);
  assert.equal(judge(made({ chain: inOrder })), []);
  assert.equal(judge(made({ names: ['acme.example', '*.acme.example'] })), []);
  assert.equal(judge(made({ issuer: root, chain: [] })), []);
  assert.equal(namesOf(parseChain(good.fullchain)[0]!), NAMES);
});

const WRONG: [what: string, make: () => Parameters<typeof judge>[0], problem: RegExp][] = [
  [
    'another domain',
    () => made({ names: ['other.example'] }),
    /^it is not for acme\.example, www\..*, api\./,
  ],
  ['a name is missing', () => made({ names: NAMES.slice(0, 2) }), /^it is not for api\.acme\.example$/],
  [
    'a wildcard, which is not for the domain itself',
    () => made({ names: ['*.acme.example'] }),
    /^it is not for acme\.example$/,
  ],
  ['a wildcard of two levels', () => made({ names: ['acme.example', '*.example'] }), /not for www.*, api/],
  ['the name is in the subject only', () => made({ names: [] }), /^it is not for acme\.example/],
  [
    'the key of another certificate',
    () => ({ ...good, publicKey: made().publicKey }),
    /^the private key is not of/,
  ],
  [
    'a key of another kind',
    () => ({ ...good, publicKey: made({ key: ['rsa:2048'] }).publicKey }),
    /^the private key is not/,
  ],
  ['an empty key file', () => ({ ...good, publicKey: '' }), /^its private key can’t be read$/],
  ['a weak key', () => made({ key: ['rsa:1024'] }), /^its key has 1024 bits/],
  ['expired', () => made({ from: -90, to: -1 }), /^it expired /],
  ['not yet valid', () => made({ from: 1, to: 90 }), /^it is not valid before /],
  [
    'of an authority',
    () => made({ extensions: ['basicConstraints=critical,CA:TRUE'] }),
    /of an authority, not/,
  ],
  ['for clients', () => made({ extensions: ['extendedKeyUsage=clientAuth'] }), /^it is not for servers/],
  [
    'a chain that is cut',
    () => made({ chain: [] }),
    /^its chain ends at Intermediate, which is no trusted root$/,
  ],
  [
    'a chain with only the root',
    () => made({ chain: [root] }),
    /^Root follows acme\.example in its chain, and has not issued it$/,
  ],
  ['a chain with another authority', () => made({ chain: [other, intermediate] }), /^Other root follows/],
  ['an unknown root', () => made({ issuer: other, chain: [other] }), /^its chain ends at Other root, which/],
  ['garbage', () => ({ ...good, fullchain: 'garbage' }), /no whole certificate/],
  ['an empty file', () => ({ ...good, fullchain: '' }), /no whole certificate/],
  [
    'a file that is cut in the middle of the chain',
    () => ({ ...good, fullchain: good.fullchain.slice(0, -90) }),
    /no whole certificate/,
  ],
  [
    'a damaged certificate',
    () => ({ ...good, fullchain: good.fullchain.replace(/MII/, 'MIX') }),
    /no whole certificate/,
  ],
];

for (const [what, make, problem] of WRONG)
  test(`${what}: refused`, () => {
    const problems = judge(make());
    assert.is(problems.length, 1, problems.join('; '));
    assert.match(problems[0]!, problem);
  });

test('the chain in the wrong order: refused', () => {
  const [leaf, ...rest] = made({ chain: inOrder }).fullchain.match(
    /-----BEGIN[^-]+-----[^-]+-----END[^-]+-----\n/g,
  )!;
  const { publicKey } = good;
  const problems = judge({ fullchain: [...rest, leaf].join(''), publicKey });
  assert.match(
    problems.join('; '),
    /it is not for .*; the private key is not of .*; it is a certificate of an authority/,
  );
});

test('a signature that its issuer has not made: refused, though the names fit', () => {
  const impostor = authority(directory, 'Intermediate', other, 'impostor');
  const problems = judge(
    made({ issuer: impostor, chain: [intermediate], extensions: ['authorityKeyIdentifier=none'] }),
  );
  assert.match(problems.join('; '), /Intermediate follows .* and has not issued it$/);
});

test('an intermediate that has expired: refused', () => {
  const old = authority(directory, 'Old', root, 'old', -1);
  assert.match(judge(made({ issuer: old, chain: [old] })).join('; '), /^Old in its chain is not valid now$/);
});

test('everything that is wrong is said at once', () => {
  const problems = judge({ ...made({ names: ['other.example'], to: -1, from: -9 }), publicKey: '' });
  assert.is(problems.length, 3, problems.join('; '));
});

test('one that ends before the one in place is refused, unless clients refuse that one', () => {
  const longer = made({ to: 120 });
  assert.match(judge(good, longer.fullchain).join(), /^it ends .*, before the one in place \(/);
  assert.equal(judge(longer, good.fullchain), []);
  assert.equal(judge(good, good.fullchain), []);
  assert.equal(judge(good, made({ to: 5000, issuer: other, chain: [] }).fullchain), [], 'it is not trusted');
  assert.equal(judge(good, made({ to: 120, names: ['old.example'] }).fullchain), [], 'it has other names');
  assert.equal(judge(good, 'garbage'), [], 'it can’t be read');
});

test('the roots of a file are trusted beside those of the system; a file without any is an error', () => {
  const file = join(directory, 'roots.pem');
  writeFileSync(file, root.certificate + other.certificate);
  const roots = trustedRoots(file);
  assert.equal(judge(good, undefined, roots), []);
  assert.is(roots.length, trustedRoots().length + 2);
  assert.match(judge(good, undefined, trustedRoots()).join(), /which is no trusted root$/);
  chmodSync(file, 0o640);
  assert.throws(() => trustedRoots(file), /can’t be read by everybody/);
  chmodSync(file, 0o644);
  writeFileSync(file, 'nothing');
  assert.throws(() => trustedRoots(file), /has no certificate/);
  assert.throws(() => trustedRoots(`${file}.missing`), /ACME_CA_FILE can’t be read/);
});

test('openssl accepts what is accepted, and refuses the cut chain', () => {
  const leaf = join(directory, 'leaf.pem');
  const untrusted = join(directory, 'untrusted.pem');
  writeFileSync(leaf, good.fullchain);
  writeFileSync(untrusted, intermediate.certificate);
  const anchor = ['-CAfile', root.file];
  const run = (...args: string[]) =>
    execFileSync('openssl', ['verify', ...anchor, ...args], { stdio: 'pipe' });
  assert.match(run('-untrusted', untrusted, leaf).toString(), /: OK$/m);
  assert.throws(() => run(leaf));
  assert.ok(readFileSync(leaf, 'utf8').startsWith('-----BEGIN'));
});

test.run();
