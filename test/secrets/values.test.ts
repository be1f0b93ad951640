/* Which values are placeholders or weak, and which are not. */
import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { newSecret } from '../../scripts/lib/core/redact.ts';
import { isPlaceholder, weaknessOf } from '../../scripts/lib/secrets/checks/values.ts';
import { isOfApplication } from '../../scripts/lib/secrets/kinds.ts';
import { newApplicationSecrets, newPasswords } from '../../scripts/lib/secrets/new-values.ts';

test('what stands for a value is a placeholder, in any form', () => {
  for (const value of [
    ...[
      'changeme',
      'CHANGE_ME',
      'change-this-in-production',
      'please change it',
      'replace me',
      'ReplaceWithSecret',
    ],
    ...[
      '<your password>',
      '[secret]',
      '{{ vault.password }}',
      'your-password',
      'my_secret',
      'insert key here',
    ],
    ...[
      'xxx',
      '****',
      '...',
      '…',
      'TODO',
      'tbd',
      'password',
      'Password123!',
      'admin',
      'postgres',
      'letmein1',
    ],
    ...[
      'placeholder',
      'place-holder',
      'AKIAIOSFODNN7EXAMPLE',
      'supersecret',
      'super_secret_jwt_key',
      'qwertyuiop',
      '123456',
    ],
  ])
    assert.ok(isPlaceholder(value), value);
});

test('what is made is never one, and never weak', () => {
  for (let number = 0; number < 300; number++) {
    for (const value of [newSecret(), randomBytes(48).toString('base64')]) {
      assert.not.ok(isPlaceholder(value), value);
      assert.is(weaknessOf(value), undefined, value);
    }
  }
  assert.ok(newSecret().length >= 64);
});

test('what a person has typed, or a program has counted up, is weak', () => {
  for (const [value, why] of [
    ['correct horse battery staple', /28 characters/],
    ['x7Kq', /4 characters/],
    ['0'.repeat(64), /1 different/],
    ['abababababababababababababababababab', /2 different/],
    ['k3Jd9fPq2mZx'.repeat(4), /repeats itself/],
    ['abcdefghijklmnopqrstuvwxyz0123456789', /neighbouring/],
    ['zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQ', /neighbouring/],
  ] as const)
    assert.match(weaknessOf(value) ?? '', why, value);
});

test('only names that any random value fits are the application’s own secrets', () => {
  for (const name of ['JWT_SECRET', 'JWT_REFRESH_SECRET', 'SESSION_SECRET', 'COOKIE_SECRET', 'CSRF_SECRET'])
    assert.ok(isOfApplication(name), name);
  for (const name of [
    'STRIPE_WEBHOOK_SECRET',
    'OAUTH_CLIENT_SECRET',
    'SMTP_PASSWORD',
    'JWT_SECRET_PREVIOUS',
    'JWT_EXPIRES_IN',
  ])
    assert.not.ok(isOfApplication(name), name);
});

test('a password is made only where none is set, and for roles only with a new database', () => {
  const names = (values: Record<string, string>) => Object.keys(newPasswords(values)).sort();
  const all = ['APP_DB_PASSWORD', 'BACKUP_DB_PASSWORD', 'POSTGRES_PASSWORD', 'REDIS_PASSWORD'];
  assert.equal(names({}), all);
  assert.equal(names({ APP_DB_PASSWORD: 'x' }), [
    'BACKUP_DB_PASSWORD',
    'POSTGRES_PASSWORD',
    'REDIS_PASSWORD',
  ]);
  assert.equal(names({ POSTGRES_PASSWORD: 'x' }), ['REDIS_PASSWORD']);
  assert.equal(names({ POSTGRES_CONTAINER: '', REDIS_PASSWORD: 'x' }), []);
  const app = { JWT_SECRET: '', SESSION_SECRET: 'x', STRIPE_WEBHOOK_SECRET: '', JWT_SECRET_PREVIOUS: '' };
  assert.equal(Object.keys(newApplicationSecrets(app)), ['JWT_SECRET']);
  const values = Object.values(newPasswords({}));
  assert.is(new Set(values).size, values.length);
});

test.run();
