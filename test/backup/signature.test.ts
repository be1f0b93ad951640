import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseManifest, serialize } from '../../scripts/lib/backup/manifest.ts';
import { isSigned, sign, signatureProblem } from '../../scripts/lib/backup/signature.ts';
import { sampleManifest } from '../support/backup/sample-manifest.ts';

const [KEY, OTHER] = ['k'.repeat(64), 'o'.repeat(64)] as [string, string];
const manifest = sampleManifest();
const text = serialize(manifest);
const signed = sign(text, KEY);

/** The signed manifest with other values. */
const changed = (changes: object) => JSON.stringify({ ...JSON.parse(signed), ...changes });

test('a signed manifest is read as before, and its signature is that of its key', () => {
  assert.equal(parseManifest(signed, manifest.id), manifest);
  assert.is(signatureProblem(signed, [KEY]), undefined);
  assert.is(signatureProblem(JSON.stringify(JSON.parse(signed)), [KEY]), undefined, 'without white space');
  assert.is(signatureProblem(signed, [OTHER, KEY]), undefined, 'of the previous key');
  assert.is(signatureProblem(signed, []), undefined, 'without a key nothing can be checked');
  assert.is(sign(signed, KEY), signed);
  assert.equal([isSigned(signed), isSigned(text), sign(text, undefined)], [true, false, text]);
});

test('no other signature counts', () => {
  const { signature } = JSON.parse(signed);
  const of = (text: string, keys = [KEY]) => signatureProblem(text, keys);
  assert.is(of(text), 'not signed');
  assert.is(of(signed, [OTHER]), 'wrong signature');
  const another = JSON.parse(sign(serialize(sampleManifest({ id: `${manifest.id.slice(0, -1)}8` })), KEY));
  for (const forged of [
    another.signature,
    signature.slice(0, -2),
    `${signature}00`,
    `0${signature.slice(1)}` === signature ? `1${signature.slice(1)}` : `0${signature.slice(1)}`,
    '',
    'not hexadecimal',
    null,
    0,
    true,
    [],
    {},
  ])
    assert.is(of(changed({ signature: forged })), 'wrong signature', JSON.stringify(forged));
});

test('each field is signed, known or not', () => {
  const { signature: _, ...fields } = JSON.parse(signed);
  for (const name of Object.keys(fields))
    assert.is(signatureProblem(changed({ [name]: 'else' }), [KEY]), 'wrong signature', name);
  assert.is(signatureProblem(changed({ more: 1 }), [KEY]), 'wrong signature');
  const { label: __, ...less } = JSON.parse(signed);
  assert.is(signatureProblem(JSON.stringify(less), [KEY]), 'wrong signature');
  // Where a name stands twice, the last one counts for all who read it.
  const twice = signed.replace('"id":', '"id": "neurmatic_production_20260131_020008", "id":');
  assert.is(signatureProblem(twice, [KEY]), undefined);
  assert.equal(parseManifest(twice, manifest.id), manifest);
});

test.run();
