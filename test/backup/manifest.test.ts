import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  artifactName,
  globalsName,
  isOurs,
  newId,
  parseArtifactName,
  parseId,
  parseManifest,
  serialize,
} from '../../scripts/lib/backup/manifest.ts';
import { packDefinitions, unpackDefinitions } from '../../scripts/lib/backup/packed-definitions.ts';
import { OperationalError } from '../../scripts/lib/core/errors.ts';
import { sampleManifest } from '../support/backup/sample-manifest.ts';

const manifest = sampleManifest();
const { id } = manifest;
const text = serialize(manifest);

/** Asserts exit code 3 and the message. */
function refused(content: string, about: string, says: RegExp): void {
  assert.throws(
    () => parseManifest(content, about),
    (error: unknown) => error instanceof OperationalError && error.exitCode === 3 && says.test(error.message),
  );
}

test('a manifest is read back as it was written, with its keys in any order', () => {
  assert.equal(parseManifest(text, id), manifest);
  const backwards = Object.fromEntries(Object.entries(JSON.parse(text)).reverse());
  assert.equal(parseManifest(JSON.stringify(backwards), id), manifest);
});

test('a changed byte and a truncation are detected', () => {
  const content = Buffer.from(text);
  for (let index = 0; index < content.length; index++) {
    const flipped = Buffer.from(content);
    flipped[index]! ^= 1;
    // Of the last byte, a line break, a flip leaves white space too.
    if (index < content.length - 1) refused(flipped.toString(), id, /manifest of neurmatic_production/);
    if (index < content.length - 2) refused(content.subarray(0, index).toString(), id, /damaged/);
  }
});

test('other values, another id, another version and other texts are refused', () => {
  refused(text.replace('"rows": 1000', '"rows": 1001'), id, /checksum does not match/);
  refused(text, 'neurmatic_production_20260131_020008', /it belongs to neurmatic_production_20260131_020007/);
  refused(
    text.replace('"version": 2,', '"version": 3,'),
    id,
    /has version 3; these scripts read versions 1 and 2/,
  );
  refused(text.replace('"version": 2,', '"version": 1,'), id, /server.icuLocale is wrong/);
  refused(text.replace('"version": 2,', '"version": 0,'), id, /version is wrong/);
  for (const other of ['null', '[]', '{}', '"text"', '7', '', 'PK\u0003\u0004'])
    refused(other, id, /damaged/);
});

test('a manifest of version 1 is read: what it lacks is not known', () => {
  const first = readFileSync(join(import.meta.dirname, 'manifest-1.json'), 'utf8');
  const read = parseManifest(first, id);
  assert.is(read.version, 2);
  assert.equal(read.server, { ...manifest.server, provider: 'libc', locale: null, icuRules: null });
  assert.equal([read.needs, read.definitions, read.warnings], [undefined, null, []]);
  assert.equal(read.properties, manifest.properties);
  refused(first.replace('"rows": 1000', '"rows": 1001'), id, /checksum does not match/);

  const providerOf = (version: string, icuLocale: string | null) => {
    const { checksum, ...old } = JSON.parse(first);
    Object.assign(old.server, { version, icuLocale });
    const signed = { ...old, checksum: hash('sha256', JSON.stringify(old)) };
    const { provider, locale } = parseManifest(JSON.stringify(signed), id).server;
    return [provider, locale];
  };
  assert.equal(providerOf('15.20', 'de'), ['icu', 'de']);
  assert.equal(providerOf('16.1', null), ['libc', null]);
  assert.equal(providerOf('17.1', null), [null, null], 'it may be the provider builtin');
});

test('definitions are packed and come back', () => {
  const definitions = { table: { 'public."a b"': '0123456789abcdef' }, 'owner of': {} };
  assert.equal(unpackDefinitions(packDefinitions(definitions)), definitions);
});

test('each field is checked, and the error names all wrong fields', () => {
  const wrong: Record<string, unknown> = {
    id: 7,
    environment: 'test',
    label: undefined,
    safety: 'no',
    startedAt: '2026-02-30T00:00:00Z',
    snapshotAt: 'yesterday',
    format: 'tar',
    artifact: { ...manifest.artifact, bytes: -1, sha256: 'ABC' },
    server: { ...manifest.server, provider: 'posix', locale: 1 },
    properties: { ...manifest.properties, privileges: [{ role: null, privilege: 'DROP', grantable: true }] },
    databaseBytes: 1.5,
    tables: [{ schema: 'public', name: 't', rows: 2 ** 60 }],
    verification: { level: 'none', at: manifest.finishedAt },
  };
  const paths = [
    ...['id', 'environment', 'label', 'safety', 'startedAt', 'snapshotAt', 'format', 'artifact.bytes'],
    ...[
      'artifact.sha256',
      'server.provider',
      'server.locale',
      'properties.privileges.0.privilege',
      'databaseBytes',
    ],
    ...['tables.0.rows', 'verification.level'],
  ];
  const json = JSON.stringify({ ...JSON.parse(text), ...wrong });
  refused(json, id, new RegExp(`is damaged: ${paths.join(', ')} is wrong$`));
});

test('a file name in a manifest can’t leave the directory', () => {
  for (const name of ['../evil.sql.gz', '/etc/passwd', 'a b.sql.gz', ''])
    assert.throws(() => serialize(sampleManifest({ artifact: { ...manifest.artifact, name } })));
});

test('ids are matched whole', () => {
  assert.equal(parseId('app_production_20260131_020007'), { app: 'app', environment: 'production' });
  assert.equal(parseId('app_staging_20260131_020007'), { app: 'app', environment: 'staging' });
  assert.equal(parseId('app_staging_production_20260131_020007'), {
    app: 'app_staging',
    environment: 'production',
  });
  for (const other of [
    'app_production_20260131_020007.json',
    'x/app_production_20260131_020007',
    'app_production_20260131',
    'app_testing_20260131_020007',
    '_production_20260131_020007',
    'App_production_20260131_020007',
    'app_production_20260131_020007\n',
    '',
  ])
    assert.is(parseId(other), undefined, other);
});

test('the backups of app are not those of app_staging', () => {
  const app = { app: 'app', environment: 'production' } as const;
  const appStaging = { app: 'app_staging', environment: 'production' } as const;
  const staging = { app: 'app', environment: 'staging' } as const;
  const owners = [app, appStaging, staging];
  for (const owner of owners) {
    const made = newId(owner, new Date('2026-01-31T02:00:07Z'));
    assert.equal(
      owners.filter(each => isOurs(made, each)),
      [owner],
    );
  }
});

test('files are named after their backup', () => {
  assert.is(artifactName(id, 'plain'), `${id}.sql.gz`);
  assert.is(artifactName(id, 'custom'), `${id}.dump.zst`);
  assert.equal(parseArtifactName(`${id}.sql.gz`), { id, format: 'plain' });
  assert.equal(parseArtifactName(`${id}.dump.zst`), { id, format: 'custom' });
  for (const other of [globalsName(id), `${id}.json`, `${id}.sql.gz.partial`, 'README', `${id}.sql`])
    assert.is(parseArtifactName(other), undefined, other);
});

test.run();
