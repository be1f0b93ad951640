import * as assert from 'uvu/assert';
import { until } from '../core/world.ts';
import { descendants, psOf, type SshPlace } from './ssh-places.ts';
import type { SshServer } from './sshd.ts';

/** Asserts that a deploy continues when its follower, with all of the follower's process group, gets a signal. */
export async function survives(server: SshServer, place: SshPlace, signal: NodeJS.Signals): Promise<void> {
  place.hold();
  const first = place.start(['deploy exits-3']);
  await place.untilAtWork();
  const followers = descendants(server.pid, /^\S*node (--\S+ )*\S*ssh-command\.ts/);
  assert.is(followers.length, 1);
  process.kill(-psOf(followers[0]!, 'pgid'), signal);
  const { child } = first;
  await until('the follower is gone', () => child.exitCode !== null || child.signalCode !== null);
  assert.is.not((await first.ended).code, 3, 'it does not know how the deploy has ended');
  assert.equal(place.ends(), []);
  place.release();
  await until('it has ended', () => place.ends().length > 0);
  assert.is((await place.run(['follow'])).code, 3);
}
