/** No request of a visitor is lost: with more visitors than test/stack/deploy-load.test.ts, and with eight instances. */
import { test } from 'uvu';
import { startVisited } from '../../stack/lib/loses-nothing.ts';

const { publish, losesNothing } = await startVisited();
await publish('v2');
const LONG = 20_000;

test('deployments and rollbacks lose no request', () =>
  losesNothing(LONG, [
    ['deploy', '2.0.0', '--yes'],
    ['rollback', '--yes'],
  ]));

test('scaling from 2 to 8 and back loses no request', () =>
  losesNothing(LONG, [
    ['scale', '8'],
    ['scale', '2'],
  ]));

test.run();
