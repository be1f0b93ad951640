/** The ways in which a deployment of deployment-model.ts can be cut off, each tried at one point after the other. */
import * as assert from 'uvu/assert';
import { assertBack, assertEnd } from './deployment-ends.ts';
import { type Case, NEW, newCase, type Situation } from './deployment-model.ts';
import type { Point, Run } from './deployment-process.ts';

/** @param isTried which changes or commands, counted from 0; default: all */
type Cut = (name: string, situation: Situation, isTried?: (at: number) => boolean) => Promise<void>;

const listedOnDisk = (c: Case) =>
  [...c.read('nginx/upstreams/backend.conf').matchAll(/^server ([\w-]+):(?!.* down\b)/gm)].map(
    ([, name]) => name,
  );

/** The numbers of the commands that are tried, and their share of all commands. */
async function commandsOf(situation: Situation, isTried: (at: number) => boolean) {
  const { commands } = await (await newCase(situation)).deploy();
  const tried = Array.from({ length: commands }, (_, at) => at).filter(isTried);
  assert.ok(tried.length > 0);
  return { tried, part: tried.length / commands };
}

const killed: Cut = async (name, situation, isTried = () => true) => {
  const { ended, points, said } = await (await newCase(situation)).deploy();
  assert.is(ended, 'done', said);
  assert.ok(points.some((_, at) => isTried(at)));
  for (const [at, change] of points.entries()) {
    if (!isTried(at)) continue;
    for (const trouble of ['killed before', 'killed after'] as const) {
      for (const direction of ['resume', 'revert'] as const) {
        const where = `${name}, ${trouble} change ${at} (${change}), ${direction}`;
        const c = await newCase(situation);
        assert.is((await c.deploy({ at, trouble })).ended, 'killed', where);
        if (at === 0 && trouble === 'killed before') {
          assert.is(c.journal(), undefined, where); // it has not begun
          continue;
        }
        assert.is.not(c.journal(), undefined, where);
        const run = await c.finish(direction);
        if (direction === 'revert') await assertBack(c, situation, run, where);
        else {
          assert.is(run.ended, 'done', `${where}\n${run.said}`);
          await assertEnd(c, situation, NEW, where);
        }
      }
    }
  }
};

const interrupted: Cut = async (name, situation, isTried = () => true) => {
  const { tried, part } = await commandsOf(situation, isTried);
  let taken = 0;
  for (const at of tried) {
    const where = `${name}, SIGINT at command ${at}`;
    const c = await newCase(situation);
    const run = await c.deploy({ at, trouble: 'SIGINT' });
    if (run.ended === 'done') {
      await assertEnd(c, situation, NEW, where);
      continue;
    }
    taken++;
    assert.is(run.exitCode, 130, where);
    await assertBack(c, situation, run, where);
  }
  const what = `${taken} of ${tried.length}: all but the last checks of what is done`;
  assert.ok(taken >= tried.length - Math.ceil(15 * part), what);
};

/** Without a journal, nothing begins. */
function assertNotBegun(c: Case, { changes }: Run, where: string): void {
  assert.equal([c.journal(), changes], [undefined, []], where);
}

/** Asserts that a deployment that could not be recorded is, by the command that it prints. */
async function assertRecorded(c: Case, situation: Situation, { said }: Run, where: string): Promise<void> {
  const [, outcome, direction] =
    /has ended \(([a-z ]+)\), which could not be recorded: [\s\S]*run \S*deploy\.ts --(resume|revert)\.$/.exec(
      said,
    ) ?? [];
  const run = await c.finish(direction as 'resume' | 'revert');
  assert.is(run.ended, outcome, `${where}\n${said}`);
  if (outcome === 'done') await assertEnd(c, situation, NEW, where);
  else await assertBack(c, situation, run, where);
}

const failing: Cut = async (name, situation, isTried = () => true) => {
  const { tried } = await commandsOf(situation, isTried);
  let taken = 0;
  for (const at of tried) {
    const where = `${name}, command ${at} fails`;
    const c = await newCase(situation);
    const run = await c.deploy({ at, trouble: 'fails' });
    if (run.ended === 'unfinished') {
      if (at === 0) assertNotBegun(c, run, where);
      else await assertRecorded(c, situation, run, where);
      continue;
    }
    if (/containers that hold images stay until the next deployment/.test(run.said)) c.docker.held.length = 0;
    if (run.ended === 'done') {
      await assertEnd(c, situation, NEW, where);
      continue;
    }
    taken++;
    assert.is(run.exitCode, 1, where);
    await assertBack(c, situation, run, where);
  }
  assert.ok(taken > tried.length / 2, `${taken} of ${tried.length}`);
};

const lastingly =
  (trouble: Point['trouble']): Cut =>
  async (name, situation, isTried = () => true) => {
    const { tried, part } = await commandsOf(situation, isTried);
    let unfinished = 0;
    for (const at of tried) {
      const where = `${name}, ${trouble}: command ${at}`;
      const c = await newCase(situation);
      const run = await c.deploy({ at, trouble });
      assert.equal(c.docker.losses, [], where);
      if (run.ended !== 'unfinished') continue;
      if (at === 0 && trouble === 'fails from then on') {
        assertNotBegun(c, run, where);
        continue;
      }
      unfinished++;
      assert.match(
        run.said,
        /going back to the previous release failed too: |which could not be recorded/,
        where,
      );
      assert.is.not(c.journal(), undefined, where);
      // A refused list is undone, so that a later reload loads the list that serves.
      if (c.docker.refused && !run.met.includes('nginx -s reload'))
        assert.equal(listedOnDisk(c), c.docker.listed('backend'), where);
      c.docker.refused = false;
      await assertBack(c, situation, await c.finish('revert'), where);
    }
    assert.ok(unfinished > 10 * part, `${unfinished} of ${tried.length}`);
  };

/**
 * `docker image prune --all`, and no registry from then on: what the deployment needs is held, so it ends as if nothing had
 * happened. Before it is held, nothing is replaced.
 */
const pruned =
  (trouble: Point['trouble']): Cut =>
  async (name, situation, isTried = () => true) => {
    const { tried } = await commandsOf(situation, isTried);
    for (const at of tried) {
      const where = `${name}, ${trouble}: command ${at}`;
      const c = await newCase(situation);
      const run = await c.deploy({ at, trouble });
      if (run.ended === 'done') await assertEnd(c, situation, NEW, where);
      else await assertBack(c, situation, run, where);
    }
  };

/** By their names in the titles of tests. */
export const CUTS: Record<string, Cut> = {
  'kill -9 before and after each change, then --resume or --revert': killed,
  'a signal at any command rolls it back': interrupted,
  'any command that fails rolls it back, or does not matter': failing,
  'docker image prune at any command costs no instance': pruned('images are pruned'),
  'docker image prune and a signal at any command cost no instance': pruned('images are pruned, and SIGINT'),
  ...Object.fromEntries(
    (['fails from then on', 'Nginx refuses its files'] as const).map(trouble => [
      `${trouble}: the same instances serve, and --revert finishes when the cause is gone`,
      lastingly(trouble),
    ]),
  ),
};
