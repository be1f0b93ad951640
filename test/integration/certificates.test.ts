/* A certificate from certbot's volume to visitors, with a program in the place of Docker. More of it: test/long/. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { obtain } from '../../scripts/lib/certificates/obtain.ts';
import { certificateStatus } from '../../scripts/lib/certificates/status.ts';
import { Exit } from '../../scripts/lib/core/errors.ts';
import { certificatesWorld } from '../support/certificates/world.ts';
import { refused } from '../support/core/in-process.ts';

const world = await certificatesWorld();
process.once('exit', () => world.stop());
const { config, make, next } = world;
const renew = () => obtain(config, { renewal: true });
const problems = async () => (await certificateStatus(config)).json.problems;

test('renew without an earlier issue does nothing, and says so', async () => {
  const before = await world.served();
  const { changed, text } = await renew();
  assert.is(changed, false);
  assert.match(text, /^nothing to renew: .*certificates\.ts issue/);
  assert.is(await world.served(), before);
  assert.not(world.calls().some(call => call.includes('certonly')));
});

test('one that visitors are not shown after the reload: the one before is put back, and the next run tries again', async () => {
  const before = await world.served();
  const one = make();
  next(one.fullchain, one.keyFile);
  world.set('deaf', true);
  await refused(
    () => obtain(config, { renewal: false }),
    Exit.verification,
    /is served with serial .*, not with .*; the previous certificate is served again/,
  );
  world.set('deaf', false);
  assert.is(await world.served(), before);
  assert.equal(await problems(), [], 'the volume has what is served');
  assert.is((await renew()).leaf!.serialNumber, one.serial);
  assert.is(await world.served(), one.serial);
});

test.run();
