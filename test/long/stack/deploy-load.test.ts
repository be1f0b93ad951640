/** Nothing of a visitor's is lost: more of them than test/stack/deploy-load.test.ts has time for, and eight instances. */
import { test } from 'uvu';
import { startVisited } from '../../stack/lib/loses-nothing.ts';

const { publish, losesNothing } = await startVisited();
await publish('v2');
const LONG = 20_000;

test('deployments and rollbacks lose nothing', () =>
  losesNothing(LONG, [
    ['deploy', '2.0.0', '--yes'],
    ['rollback', '--yes'],
  ]));

test('scaling from 2 to 8 and back loses nothing', () =>
  losesNothing(LONG, [
    ['scale', '8'],
    ['scale', '2'],
  ]));

test.run();
