/**
 * The order of a rotation's steps: kill -9 between any two changes, a signal and a failure at every third command. At every moment
 * the backends have logins that the stores take, and `--resume` ends it. Docker, Nginx and the stores are a model
 * (test/support/deploy/rotation-model.ts); rotate-stores.test.ts has the real stores, test/long/stack/rotate.test.ts a real stack.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertRotated, begin, disturb, killTwice, NEW } from '../support/deploy/rotation-ends.ts';
import { OLD, type RotationCase } from '../support/deploy/rotation-model.ts';

const NAMES = ['APP_DB_PASSWORD', 'REDIS_PASSWORD', 'JWT_SECRET', 'BACKUP_DB_PASSWORD', 'POSTGRES_PASSWORD'];

test('the password of the application, step by step', async () => {
  const c = begin();
  const run = await c.rotate('APP_DB_PASSWORD');
  const roll = [
    'reload',
    'stop backend-1',
    'start backend-1',
    'reload',
    'reload',
    'stop backend-2',
    'start backend-2',
    'reload',
  ];
  const held = (all: string[]) => ['reload', 'hold shop/backend:1', ...all, 'release images'];
  assert.equal(
    run.changes,
    ['make the second login', ...held(roll), 'set the password', ...held(roll), 'drop the second login'],
    run.said,
  );
  assertRotated(c, 'APP_DB_PASSWORD', run, 'done');
});

for (const name of NAMES)
  test(`${name}: kill -9 after each change, then --resume`, async () => {
    const { ended, points, said } = await begin().rotate(name);
    assert.is(ended, 'done', said);
    for (const [at, change] of points.entries()) {
      // Before a change it is as after the one before.
      for (const trouble of at === 0
        ? (['killed before', 'killed after'] as const)
        : (['killed after'] as const)) {
        const where = `${trouble} change ${at} (${change})`;
        const c = begin();
        assert.is((await c.rotate(name, { at, trouble })).ended, 'killed', where);
        assert.equal(c.docker.losses, [], where);
        if (at === 0 && trouble === 'killed before') {
          assert.is(c.journal(), undefined, where); // it has not begun
          continue;
        }
        assert.is.not(c.journal(), undefined, where);
        for (const secret of [
          ...Object.values(OLD),
          ...c.roles.values(),
          ...c.redis,
          ...Object.values(c.values().app),
        ])
          assert.not.ok(secret && c.journalText().includes(secret), where);
        assertRotated(c, name, await c.resume(), where);
      }
    }
  });

/** More of these: test/long/integration/rotate-steps.test.ts. */
test('killed twice', () => killTwice(['JWT_SECRET'], 9));

for (const trouble of ['SIGINT', 'fails'] as const)
  test(`${trouble} at every third command: what serves goes on, the message has the next command, and --resume ends it`, () =>
    disturb(['REDIS_PASSWORD'], trouble));

test('an application that knows one value gets a new one, and the file no second one', async () => {
  const c = begin({ previous: false });
  const run = await c.rotate('JWT_SECRET');
  assert.is(run.ended, 'done', run.said);
  assert.equal(Object.keys(c.values().app), ['JWT_SECRET']);
  assert.match(c.values().app.JWT_SECRET!, NEW);
  assert.is(run.changes.filter(change => change.startsWith('stop backend')).length, 2);
});

test('a backend that does not become ready stops it; the others serve, and --resume goes on when the cause is gone', async () => {
  for (const name of ['APP_DB_PASSWORD', 'REDIS_PASSWORD']) {
    const c = begin();
    c.docker.fates.set('shop/backend:1', 'never ready');
    const run = await c.rotate(name);
    assert.is(run.ended, 'unfinished');
    assert.match(run.said, /backend-1 is not ready after 3 s/);
    assert.equal([c.docker.listed('backend'), c.docker.losses], [['backend-2'], []]);
    c.docker.fates.clear();
    assertRotated(c, name, await c.resume(), run.said);
  }
});

test('a second rotation keeps what PostgreSQL’s container was created with', async () => {
  const c = begin();
  assert.is((await c.rotate('APP_DB_PASSWORD')).ended, 'done');
  const first = c.values().env.APP_DB_PASSWORD;
  const again = await c.rotate('APP_DB_PASSWORD');
  assertRotated(c, 'APP_DB_PASSWORD', again, 'again');
  assert.is.not(c.values().env.APP_DB_PASSWORD, first);
});

test('what would fail is refused before anything is changed', async () => {
  const cases: [name: string, set: (c: RotationCase) => void, says: RegExp][] = [
    ['STRIPE_KEY', () => {}, /STRIPE_KEY is no secret that these scripts can replace/],
    ['SESSION_SECRET', c => c.write('.env.production.app', 'SESSION_SECRET=\n'), /SESSION_SECRET is empty/],
    [
      'JWT_SECRET',
      c => c.docker.containers.delete('backend-2'),
      /backend-2 does not run BACKEND_IMAGE of the env file/,
    ],
    [
      'JWT_SECRET',
      c => c.write('nginx/upstreams/backend.conf', 'server backend-1:3000 resolve;\n'),
      /backend-1 is the only instance/,
    ],
    ['JWT_SECRET', c => Object.assign(c.docker, { refused: true }), /unknown directive/],
    [
      'APP_DB_PASSWORD',
      c => {
        const { env } = c.values();
        const url = env.DATABASE_URL!.replace('neurmatic:', 'somebody:');
        c.write(
          '.env.production',
          Object.entries({ ...env, DATABASE_URL: url })
            .map(each => each.join('='))
            .join('\n'),
        );
      },
      /DATABASE_URL is not the login of neurmatic/,
    ],
    [
      'REDIS_PASSWORD',
      c => {
        const { env } = c.values();
        const REDIS_URL = 'redis://:other@redis.example:6379';
        c.write(
          '.env.production',
          Object.entries({ ...env, REDIS_URL })
            .map(each => each.join('='))
            .join('\n'),
        );
      },
      /REDIS_URL does not have REDIS_PASSWORD/,
    ],
    [
      'REDIS_PASSWORD',
      c => c.write('state/production.deploy.json', '{}'),
      /journal of an interrupted deployment is damaged/,
    ],
    [
      'REDIS_PASSWORD',
      c => c.write('state/production.rotate.json', '{"name":1}'),
      /journal of an interrupted rotation is damaged/,
    ],
  ];
  for (const [name, set, says] of cases) {
    const c = begin();
    set(c);
    const before = c.values();
    assert.match((await c.refusal(name)) ?? 'not refused', says, name);
    assert.equal([c.values(), c.docker.changes], [before, []], name);
  }
  for (const name of NAMES) assert.is(await begin().refusal(name), undefined, name);
  process.env.REDIS_URL = 'redis://elsewhere';
  try {
    assert.match(
      (await begin().refusal('REDIS_PASSWORD')) ?? '',
      /variables of this shell override the file.*REDIS_URL/,
    );
  } finally {
    delete process.env.REDIS_URL;
  }
  const c = begin();
  await c.rotate('JWT_SECRET', { at: 3, trouble: 'killed after' });
  assert.match((await c.refusal('JWT_SECRET')) ?? '', /a rotation of JWT_SECRET was interrupted at the step/);
});

test.run();
