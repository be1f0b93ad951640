/* What of a URL is an agreement with its parts; test/integration/store-urls.test.ts has clients read the URLs. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig } from '../../scripts/lib/config/config.ts';
import { secondLoginOf, urlStates } from '../../scripts/lib/config/store-urls.ts';

const PARTS = { APP_NAME: 'my-shop', POSTGRES_USER: 'root', POSTGRES_PASSWORD: 'p@s', REDIS_PASSWORD: 'r/s' };
const OPEN = { POSTGRES_CONTAINER: undefined, DATABASE_URL_OPTIONS: undefined };
const states = (given: Record<string, string>) =>
  urlStates(loadConfig('production', { ...OPEN, ...PARTS, ...given }));
const stateOf = (url: string, given: Record<string, string> = {}) =>
  states({ DATABASE_URL: url, ...given })[0]!.is;

test('the URLs are made of the parts', () => {
  const [database, redis] = states({});
  assert.is(database!.right, 'postgresql://root:p%40s@postgres:5432/my-shop_production?connection_limit=20');
  assert.is(redis!.right, 'redis://:r%2Fs@redis:6379');
  assert.equal([database!.is, redis!.is], ['missing', 'missing']);
  const app = {
    APP_DB_PASSWORD: 'a?b-of-16-letters',
    DATABASE_URL_OPTIONS: 'schema=x&pool_timeout=5',
    POSTGRES_DB: 'd b/ü',
  };
  assert.is(
    states(app)[0]!.right,
    'postgresql://my_shop:a%3Fb-of-16-letters@postgres:5432/d%20b%2F%C3%BC?schema=x&pool_timeout=5',
  );
  assert.is(states({ POSTGRES_USER: 'o@' })[0]!.right!.split('p%')[0], 'postgresql://o%40:');
  assert.not.match(states({ DATABASE_URL_OPTIONS: '' })[0]!.right!, /\?/);
  assert.equal(
    states({ POSTGRES_PASSWORD: '', REDIS_PASSWORD: '' }).map(({ is, lacks }) => [is, lacks]),
    [
      ['missing', ['POSTGRES_PASSWORD']],
      ['missing', ['REDIS_PASSWORD']],
    ],
  );
});

test('a URL that says the same is right, however it is encoded and whatever its options are', () => {
  for (const url of [
    'postgresql://root:p%40s@postgres:5432/my-shop_production',
    'postgres://root:p%40%73@postgres/my-shop_production?schema=public',
    'postgresql://ro%6ft:p%40s@postgres:5432/my%2Dshop_production?connection_limit=5&x=1',
  ])
    assert.is(stateOf(url), 'right', url);
  const exact = { DATABASE_URL_OPTIONS: 'schema=public' };
  assert.is(stateOf('postgres://root:p%40s@postgres/my-shop_production?schema=public', exact), 'right');
  assert.is(stateOf('postgres://root:p%40s@postgres/my-shop_production', exact), 'wrong');
  for (const url of ['redis://:r%2fs@redis', 'redis://default:r%2Fs@redis:6379/2'])
    assert.is(states({ REDIS_URL: url })[1]!.is, 'right', url);
});

test('another user, password, database, port or scheme is wrong, and so is what two programs read differently', () => {
  for (const url of [
    'postgresql://other:p%40s@postgres:5432/my-shop_production',
    'postgresql://root:old@postgres:5432/my-shop_production',
    'postgresql://root@postgres:5432/my-shop_production',
    'postgresql://root:p%40s@postgres:5432/other',
    'postgresql://root:p%40s@postgres:5433/my-shop_production',
    'mysql://root:p%40s@postgres:5432/my-shop_production',
    'postgresql://root:p@s@postgres:5432/my-shop_production', // raw, for some the right password
    'postgresql://root:p%@postgres:5432/my-shop_production',
    'postgresql://root:p%40s@postgres:5432/my-shop_production#x',
    'postgresql://root:a/b#c?d@postgres:5432/my-shop_production',
  ])
    assert.is(stateOf(url), 'wrong', url);
  assert.is(states({ REDIS_URL: 'redis://other:r%2Fs@redis' })[1]!.is, 'wrong');
});

test('the second login of a rotation is neither wrong nor another server', () => {
  const app = { APP_DB_PASSWORD: 'a-password-of-the-role' };
  assert.is(stateOf('postgresql://my_shop_rotating:x@postgres:5432/my-shop_production', app), 'rotating');
  for (const url of ['postgresql://root_rotating:x@postgres/x', 'postgresql://my_shop_rotatin:x@postgres/x'])
    assert.is(stateOf(url, app), 'wrong', url);
  assert.is(stateOf('postgresql://my_shop_rotating:x@db.example/x', app), 'own');
  assert.is(states({ REDIS_URL: 'redis://_rotating:x@redis' })[1]!.is, 'wrong');
  assert.is(secondLoginOf('x'.repeat(63)), `${'x'.repeat(54)}_rotating`);
});

test('a URL of another server is the operator’s', () => {
  for (const url of [
    'postgresql://u:p@db.example:5432/x?sslmode=require',
    'postgresql://u:p@postgres.example/x',
    'postgresql://u@10.0.0.2/x',
  ])
    assert.is(stateOf(url), 'own', url);
  assert.is(states({ REDIS_URL: 'rediss://:p@cache.example' })[1]!.is, 'own');
  assert.is(stateOf('postgresql://u:p@anywhere/x', { POSTGRES_CONTAINER: '' }), 'apart');
  assert.is(stateOf('', { POSTGRES_CONTAINER: '' }), 'missing');
});

test.run();
