/** Nothing of a visitor's is lost: more of them than test/stack/deploy-load.test.ts has time for, and eight instances. */
import { test } from 'uvu';
import { startVisited } from '../../stack/lib/loses-nothing.ts';

const { publish, losesNothing } = await startVisited();
const LONG = { during: 5_000, total: 20_000 };

test('a deployment loses nothing', async () => {
  await publish('v2');
  await losesNothing(LONG, [['deploy', '2.0.0', '--yes']]);
});

test('a rollback loses nothing', () => losesNothing(LONG, [['rollback', '--yes']]));

test('scaling from 2 to 8 and back loses nothing', () =>
  losesNothing(LONG, [
    ['scale', '8'],
    ['scale', '2'],
  ]));

test.run();
