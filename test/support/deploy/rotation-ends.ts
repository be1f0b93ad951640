/** What every end of a rotation in the model must be, and rotations that are disturbed. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { root } from './deployment-copy.ts';
import type { Run } from './deployment-process.ts';
import { newRotationCase, OLD, type RotationCase } from './rotation-model.ts';

export const NEW = /^[0-9a-f]{64}$/;

export function begin(situation?: Parameters<typeof newRotationCase>[0]): RotationCase {
  const c = newRotationCase(situation);
  mkdirSync(join(root, 'state'), { recursive: true });
  return c;
}

/** Asserts that the secret is another one everywhere, that nobody has lost a request, and that nothing is left. */
export function assertRotated(c: RotationCase, name: string, run: Run, where: string): void {
  assert.is(run.ended, 'done', `${where}\n${run.said}`);
  assert.equal(c.docker.losses, [], where);
  assert.is(c.journal(), undefined, where);
  assert.equal(c.docker.held, [], where);
  const { env, app } = c.values();
  const value = (name === 'JWT_SECRET' ? app : env)[name]!;
  assert.match(value, NEW, where);
  assert.not.ok(run.said.includes(value), where);
  assert.ok(env.DATABASE_URL!.endsWith('@postgres:5432/neurmatic_production?connection_limit=7'), where);
  const { username, password } = new URL(env.DATABASE_URL!);
  assert.equal([username, password], ['neurmatic', env.APP_DB_PASSWORD], where);
  assert.is(env.REDIS_URL, `redis://:${env.REDIS_PASSWORD}@redis:6379`, where);
  assert.equal([...c.roles.keys()], ['postgres', 'neurmatic', 'backup'], where);
  assert.equal(
    [...c.roles.values()],
    [env.POSTGRES_PASSWORD, env.APP_DB_PASSWORD, env.BACKUP_DB_PASSWORD],
    where,
  );
  assert.equal([...c.redis], [env.REDIS_PASSWORD], where);
  if (name === 'JWT_SECRET') assert.is(app.JWT_SECRET_PREVIOUS, OLD.jwt, where);
  assert.equal(c.docker.listed('backend'), ['backend-1', 'backend-2'], where);
  for (const backend of ['backend-1', 'backend-2']) {
    const own = c.valuesOfBackend(backend);
    assert.equal(
      [own.env.DATABASE_URL, own.env.REDIS_URL, own.app],
      [env.DATABASE_URL, env.REDIS_URL, app],
      where,
    );
  }
  if (/^(POSTGRES|BACKUP_DB)_/.test(name)) assert.is(c.valuesOfBackend('backup').env[name], value, where);
  const initial = `INITIAL_${name}`;
  if (/^(POSTGRES|APP_DB|BACKUP_DB)_/.test(name)) {
    const old = {
      POSTGRES_PASSWORD: OLD.superuser,
      APP_DB_PASSWORD: OLD.app,
      BACKUP_DB_PASSWORD: OLD.backup,
    };
    assert.is(env[initial], old[name as keyof typeof old], `${where}: what PostgreSQL’s container has`);
  } else assert.is(env[initial], undefined, where);
}

/** Kills a rotation after each `step`th change, and the --resume after that once more. */
export async function killTwice(names: string[], step: number): Promise<void> {
  for (const name of names) {
    const { points } = await begin().rotate(name);
    for (let at = 1; at < points.length; at += step) {
      for (let again = 0; again < 6; again += 2) {
        const c = begin();
        await c.rotate(name, { at, trouble: 'killed after' });
        const second = await c.resume({ at: again, trouble: 'killed after' });
        const where = `${name}: ${at}, then ${again} (${second.ended})`;
        if (second.ended === 'killed') assertRotated(c, name, await c.resume(), where);
        else assertRotated(c, name, second, where);
      }
    }
  }
}

/** Disturbs every third command: what serves goes on, the message has the next command, and --resume ends it. */
export async function disturb(names: string[], trouble: 'SIGINT' | 'fails'): Promise<void> {
  for (const name of names) {
    const { commands } = await begin().rotate(name);
    let taken = 0;
    for (let at = 0; at < commands; at += 3) {
      const where = `${name}, ${trouble} at command ${at}`;
      const c = begin();
      const run = await c.rotate(name, { at, trouble });
      assert.equal(c.docker.losses, [], where);
      c.docker.held.length = run.ended === 'done' ? 0 : c.docker.held.length; // that images are held may fail
      if (run.ended === 'done') {
        assertRotated(c, name, run, where);
        continue;
      }
      if (at === 0 && trouble === 'fails') {
        assert.is(c.journal(), undefined, where); // the journal could not be written: nothing begins
        continue;
      }
      taken++;
      assert.match(
        run.said,
        /is not replaced yet: [\s\S]*The stack works .*\.\/scripts\/secrets\.ts rotate --resume/,
        where,
      );
      const resumed = await c.resume();
      assertRotated(c, name, resumed, where);
    }
    assert.ok(taken > commands / 9, `${name}: ${taken} of ${commands}`);
  }
}
