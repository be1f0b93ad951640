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

test('status: the next renewal is the schedule’s; where that is off, there is none', async () => {
  const { json, text } = await certificateStatus(config);
  assert.match(text, /^next renewal {3}20\d\d-.* UTC, or earlier if the authority asks for it$/m);
  assert.ok(Date.parse(json.nextRenewal!) < Date.parse(json.validTo!), json.nextRenewal!);
  const off = await certificateStatus({ ...config, schedule: { ...config.schedule, certificates: 'off' } });
  assert.is(off.json.nextRenewal, null);
  assert.match(off.text, /^next renewal {3}none: SCHEDULE_CERTIFICATES is off$/m);
});

test('another DOMAIN: nothing is requested before Nginx has it; then the old certificate is named as not for it, and issue replaces it', async () => {
  const serial = await world.served();
  const names = 'new.example, www.new.example, api.new.example';
  const changed = world.rename('new.example', false);
  const requests = () => world.calls().filter(call => call.includes('certonly')).length;
  const before = requests();
  const LOAD =
    /other values than the configuration has now: API_DOMAIN, DOMAIN.*docker compose up -d --timeout=5 nginx/s;
  for (const renewal of [false, true]) await refused(() => obtain(changed, { renewal }), Exit.failed, LOAD);
  assert.match((await certificateStatus(changed)).json.problems[0]!, LOAD);

  world.rename('new.example', true);
  const { text, json } = await certificateStatus(changed);
  assert.is(json.serial, serial);
  assert.match(
    json.problems.join('\n'),
    `it is not for ${names}: \`./scripts/certificates.ts issue\` requests one`,
  );
  assert.match(text, `names          acme.example, www.acme.example, api.acme.example`);
  world.refuse('Identifier: new.example\n  Type: dns\n  Detail: no valid A records found for new.example\n');
  await refused(
    () => obtain(changed, { renewal: true }),
    Exit.failed,
    /^no certificate was issued: new\.example: dns/,
  );
  assert.is(
    await world.served('new.example'),
    serial,
    'the old one is served until one for the new names is issued',
  );
  world.refuse(undefined);

  const one = make({ names: names.split(', ') });
  next(one.fullchain, one.keyFile);
  // The schedule would do it, too: certbot is asked for the new names.
  const outcome = await obtain(changed, { renewal: true });
  assert.is(outcome.changed, true);
  assert.match(
    world.calls().findLast(call => call.includes('certonly'))!,
    /--domain new\.example --domain www\.new\.example --domain api\.new\.example .*--renew-with-new-domains/,
  );
  assert.is(await world.served('api.new.example'), one.serial);
  assert.equal((await certificateStatus(changed)).json.problems, []);
  assert.is(requests(), before + 2);
});

test.run();
