/** Where a deployment of deployment-model.ts may end. */
import * as assert from 'uvu/assert';
import { chooseRelease, reachable } from '../../../scripts/lib/deploy/releases.ts';
import { type Case, NEW, OLD, type Situation } from './deployment-model.ts';
import type { Run } from './deployment-process.ts';

/** Deployments that differ in what they have to do. */
export const SITUATIONS: Record<string, Situation> = {
  'two instances and a migration': { migrations: ['expand'] },
  'with --surge': { surge: 'backend-3' },
  'one instance, with --surge': { servers: ['backend-1'], surge: 'backend-2' },
  'three instances, of which one is not ready': {
    servers: ['backend-1', 'backend-2', 'backend-3'],
    unready: ['backend-2'],
  },
  'the frontend stays': { frontend: false },
  'a contracting migration, and --surge': {
    migrations: ['drop'],
    contracting: ['drop'],
    surge: 'backend-3',
  },
  'a rollback with the database': { data: { maintenance: false } },
  'a rollback with the database, in maintenance': { data: { maintenance: true }, unready: ['backend-2'] },
};

/** Asserts that all services run these images and serve, that the lists are as before, and that nothing is left. */
export async function assertEnd(
  c: Case,
  situation: Situation,
  images: typeof OLD,
  where: string,
): Promise<void> {
  const { servers = ['backend-1', 'backend-2'], frontend = true } = situation;
  const served = frontend ? images : { ...images, frontend: OLD.frontend };
  assert.equal(
    c.state(),
    {
      lists: c.lists,
      loaded: [servers, ['frontend']],
      services: {
        ...Object.fromEntries(servers.map(name => [name, served.backend])),
        frontend: served.frontend,
      },
      env: `BACKEND_IMAGE=${served.backend}\nFRONTEND_IMAGE=${served.frontend}\n`,
    },
    where,
  );
  assert.is(c.journal(), undefined, where);
  assert.equal(c.docker.losses, [], where);
  assert.equal(c.docker.held, [], where);
  if (!situation.data) return;
  assert.is(c.databases.live(), images.backend, where);
  assert.is(c.maintenance(), situation.data.maintenance, where);
  const names = [...c.databases.databases.values()].map(({ name }) => name.replace(/_\d+$/, '')).sort();
  const live = names[0]!;
  assert.equal(names, images === NEW ? [live, `${live}_before`] : [live], where);
}

/** Asserts that the command that it prints goes back by one release, and that no other name is needed for that. */
function assertHint(c: Case, said: string, where: string): void {
  const [, quoted, plain, backup] =
    /^ +\.\/scripts\/rollback\.ts (?:'([^']+)'|(\S+)) --with-database (\S+)$/m.exec(said) ?? [];
  assert.ok(backup, `${where}\n${said}`);
  const { contracting } = c.releases().at(-1)!;
  for (const name of [quoted ?? plain, undefined]) {
    const target = chooseRelease(reachable(c.releases()), name);
    assert.equal([target.images, target.since], [OLD, contracting], where);
  }
}

/** The same for a deployment that goes back, or stops after a contracting migration. */
export async function assertBack(c: Case, situation: Situation, run: Run, where: string): Promise<void> {
  assert.equal(c.docker.losses, [], where);
  const migrated = c.docker.changes.includes('migrate');
  const last = c.releases().at(-1)!;
  assert.equal(last.migrations, migrated ? situation.migrations : [], where);
  if (migrated && situation.contracting) {
    assert.is(run.ended, 'stopped', `${where}\n${run.said}`);
    assert.match(run.said, /not rolled back: drop changed the schema/, where);
    assertHint(c, run.said, where);
    const serving = c.docker.listed('backend').map(name => c.docker.containers.get(name)?.ready);
    assert.ok(serving.length > 0 && serving.every(Boolean), where);
    assert.is(c.journal(), undefined, where);
    return;
  }
  assert.is(run.ended, 'rolled back', `${where}\n${run.said}`);
  // An instance that was not ready before and was not replaced is not ready after.
  const replaced = run.changes.some(change => change.startsWith('stop backend'));
  for (const [name, each] of c.docker.containers)
    assert.ok(each.ready || (situation.unready?.includes(name) && !replaced), where);
  await assertEnd(c, situation, OLD, where);
}
