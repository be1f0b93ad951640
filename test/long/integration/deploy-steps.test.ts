/**
 * A deployment that is cut off in every way at each change or command; and one that is killed, and whose --resume or
 * --revert is killed as well, each after every change. test/integration/deploy-steps.test.ts has some of the points.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CUTS } from '../../support/deploy/deployment-cuts.ts';
import { assertBack, assertEnd, SITUATIONS } from '../../support/deploy/deployment-ends.ts';
import { NEW, newCase } from '../../support/deploy/deployment-model.ts';

const DIRECTIONS = ['resume', 'revert'] as const;

for (const [name, situation] of Object.entries(SITUATIONS)) {
  for (const [what, cut] of Object.entries(CUTS)) test(`${name}: ${what}`, () => cut(name, situation));

  test(`${name}: killed twice, then --resume or --revert`, async () => {
    const { points } = await (await newCase(situation)).deploy();
    let twice = 0;
    for (const [at, change] of points.entries()) {
      for (const second of DIRECTIONS) {
        for (let again = 0, more = true; more; again++) {
          for (const last of DIRECTIONS) {
            const where = `${name}, ended after change ${at} (${change}), ${second} ended after change ${again}, ${last}`;
            const c = await newCase(situation);
            await c.deploy({ at, trouble: 'killed after' });
            const run = await c.finish(second, { at: again, trouble: 'killed after' });
            more = run.ended === 'killed';
            if (!more) break;
            twice++;
            const end = await c.finish(last);
            if (last === 'revert') await assertBack(c, situation, end, where);
            else {
              assert.is(end.ended, 'done', `${where}\n${end.said}`);
              await assertEnd(c, situation, NEW, where);
            }
          }
        }
      }
    }
    assert.ok(twice > 200, `${twice}`);
  });
}

test.run();
