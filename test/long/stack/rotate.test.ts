/**
 * A secret of a real stack is replaced while 64 clients send requests: none is lost, PostgreSQL and Redis are not restarted, and the
 * old value opens nothing. Ended by kill -9 at random moments, the stack serves, and `rotate --resume` ends it.
 * test/integration/rotate-steps.test.ts does it between any two changes, with a model instead of the engine.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { valuesOf } from '../../../scripts/lib/config/env-file.ts';
import { ask, json } from '../../stack/lib/http.ts';
import { startVisited } from '../../stack/lib/loses-nothing.ts';
import { sql, whileVisited } from '../../stack/lib/visitor.ts';
import { createRandom } from '../../support/core/random.ts';

const { stack, losesNothing, run, start } = await startVisited();
const NAMES = ['APP_DB_PASSWORD', 'REDIS_PASSWORD', 'JWT_SECRET'];
const [envFile, appFile] = ['.env.production', '.env.production.app'].map(name =>
  join(stack.directory, name),
) as [string, string];
appendFileSync(appFile, 'JWT_SECRET_PREVIOUS=\n'); // the application accepts it

const values = (): Record<string, string> => ({
  ...valuesOf(readFileSync(envFile, 'utf8')),
  ...valuesOf(readFileSync(appFile, 'utf8')),
});
/** The containers of the stores, and since when they run. */
const stores = () => {
  const format = '{{.Id}} {{.State.StartedAt}} {{.RestartCount}}';
  return stack.docker('inspect', '--format', format, stack.container('postgres'), stack.container('redis'));
};
/** Whether PostgreSQL lets a user in over its network, as a backend comes. */
const logsIn = async (user: string, password: string) => {
  const client = [
    'psql',
    '-h',
    stack.container('postgres'),
    '-U',
    user,
    '-d',
    values().POSTGRES_DB!,
    '-c',
    'SELECT 1',
  ];
  return (await stack.exec('postgres', 'env', `PGPASSWORD=${password}`, ...client)).code === 0;
};
const secondLogins = () => sql(stack, "SELECT count(*) FROM pg_roles WHERE rolname LIKE '%rotating'");

/** Does work while somebody who has logged in before is let in again and again. */
async function whileLoggedIn(work: () => Promise<void>): Promise<void> {
  const user = json({ email: 'someone@acme.example', password: 'a long password' });
  assert.is((await ask(stack, 'api', '/api/v1/auth/register', user)).status, 201);
  const { token } = JSON.parse((await ask(stack, 'api', '/api/v1/auth/login', user)).body) as {
    token: string;
  };
  const headers = { Authorization: `Bearer ${token}` };
  let over = false;
  const answers: Record<string, number> = {};
  const asking = (async () => {
    while (!over) {
      const { status } = await ask(stack, 'api', '/api/v1/me', { headers });
      answers[status] = (answers[status] ?? 0) + 1;
      await sleep(300);
    }
  })();
  try {
    await work();
  } finally {
    over = true;
    await asking;
  }
  assert.equal(Object.keys(answers), ['200'], JSON.stringify(answers));
}

for (const name of NAMES)
  test(`${name}: 64 clients, 10,000 requests, none lost; the stores run on`, async () => {
    const [before, old] = [await stores(), values()];
    const rotate = () => losesNothing(10_000, [['secrets', 'rotate', name, '--yes']]);
    await (name === 'JWT_SECRET' ? whileLoggedIn(rotate) : rotate());
    const now = values();
    assert.is.not(now[name], old[name]);
    assert.equal(await stores(), before);
    if (name !== 'APP_DB_PASSWORD') return;
    assert.equal([await logsIn(stack.app, now[name]!), await logsIn(stack.app, old[name]!)], [true, false]);
    assert.is(await secondLogins(), '0');
    await stack.compose('up', '--detach', '--no-deps', 'postgres');
    assert.is(await stores(), before, 'the next `up` does not replace PostgreSQL');
  });

test('the passwords of backups and of the superuser', () =>
  whileVisited(stack, async () => {
    const before = await stores();
    for (const name of ['BACKUP_DB_PASSWORD', 'POSTGRES_PASSWORD']) {
      const old = values()[name]!;
      const rotated = await run('secrets', ['rotate', name, '--yes']);
      assert.is(rotated.code, 0, rotated.stderr);
      const user = name === 'POSTGRES_PASSWORD' ? values().POSTGRES_USER! : 'backup';
      assert.equal([await logsIn(user, values()[name]!), await logsIn(user, old)], [true, false], name);
    }
    const backup = await run('backup', []);
    assert.is(backup.code, 0, backup.stderr);
    await stack.compose('up', '--detach', '--no-deps', 'postgres');
    assert.equal(await stores(), before);
  }));

test('Redis has the new password over a restart, and the file’s when its container is another one', async () => {
  const ping = async () =>
    (
      await stack.exec('redis', 'env', `REDISCLI_AUTH=${values().REDIS_PASSWORD}`, 'redis-cli', 'PING')
    ).stdout.trim();
  await stack.docker('restart', stack.container('redis'));
  await stack.compose('up', '--detach', '--wait', '--no-deps', '--no-recreate', 'redis');
  assert.is(await ping(), 'PONG');
  await stack.compose('up', '--detach', '--wait', '--no-deps', '--force-recreate', 'redis');
  assert.is(await ping(), 'PONG');
});

test('killed at 20 random moments, the stack serves, others are refused, and --resume ends it', async () => {
  const random = createRandom();
  console.log(`» SEED=${random.seed}`);
  await whileVisited(stack, async () => {
    let left = 0;
    for (let number = 0; number < 20; number++) {
      const name = NAMES[number % NAMES.length]!;
      const after = random.below(60_000);
      const rotation = start('secrets', ['rotate', name, '--yes']);
      await Promise.race([sleep(after), rotation.ended]);
      rotation.child.kill('SIGKILL');
      await rotation.ended;
      const where = `${name}, killed after ${after} ms`;
      const look = await run('secrets', ['rotate', '--resume', '--dry-run']);
      if (look.code === 2) continue; // it had ended, or not begun
      left++;
      const refused = await run('scale', ['3']);
      assert.is(refused.code, 1, where);
      assert.match(refused.stderr, /a rotation of \w+ was interrupted at the step/, where);
      const resumed = await run('secrets', ['rotate', '--resume', '--yes']);
      assert.is(resumed.code, 0, `${where}: ${resumed.stderr}`);
      assert.is(await secondLogins(), '0', where);
    }
    assert.ok(left > 5, `${left} of 20 were interrupted`);
  });
});

test.run();
