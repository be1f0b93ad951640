/**
 * No request of a visitor is lost while a release is deployed or rolled back, or while instances are added and
 * removed. With more requests, and with eight instances, in test/long/stack/deploy-load.test.ts.
 */
import { test } from 'uvu';
import { startVisited } from './lib/loses-nothing.ts';

const { publish, losesNothing } = await startVisited();
await publish('v2');

test('a deployment, a rollback and scaling lose no request', () =>
  losesNothing(
    5_000,
    [
      ['deploy', '2.0.0', '--yes'],
      ['rollback', '--yes'],
    ],
    [
      ['scale', '4'],
      ['scale', '2'],
    ],
  ));

test.run();
