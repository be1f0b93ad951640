/** Certificates of a real authority (pebble), by real certbot, in a real stack: issued, renewed, refused. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { certificatesOf } from './lib/certificates.ts';
import { clientsOf } from './lib/clients.ts';
import { sharedStack } from './lib/shared.ts';

const stack = await sharedStack();
const { pebble, run, shown, status, elsewhere, restore } = await certificatesOf(stack);

test('issue: from the self-signed certificate to that of the authority, for every name', async () => {
  assert.is((await run('renew')).code, 0);
  const before = await shown();
  const issued = await run('issue', '--json');
  assert.is(issued.code, 0, issued.stderr);
  const { changed, names, serial } = JSON.parse(issued.stdout);
  assert.is(changed, true);
  assert.equal(names.sort(), ['', 'api.', 'www.'].map(each => `${each}${stack.domain}`).sort());
  const now = await shown();
  assert.is.not(now.serial, before.serial);
  assert.is(now.serial, serial);
  assert.match(now.issuer, /Pebble/);
  const { json, code } = await status();
  assert.is(code, 0, JSON.stringify(json));
  assert.equal(new Set(json.served.map((each: { serial: string }) => each.serial)), new Set([serial]));
  assert.ok(json.daysLeft >= 88 && json.daysLeft <= 90, json.daysLeft);
});

test('renew: when the authority asks for it (ARI), and no request is lost', async () => {
  const before = await shown();
  await pebble.suggests(before.pem, new Date(Date.now() - 7_200_000), new Date(Date.now() - 3_600_000));
  const own = stack.ca;
  stack.ca = readFileSync(pebble.caFile, 'utf8'); // of the clients, who verify what they are shown
  const clients = await clientsOf(stack, 4);
  const renewed = await run('renew');
  await clients.leave();
  stack.ca = own;
  assert.is(renewed.code, 0, renewed.stderr);
  assert.match(renewed.stdout, /^served now: /, renewed.stdout);
  const now = await shown();
  assert.is.not(now.serial, before.serial);
  assert.ok(clients.sent() > 20, `${clients.sent()}`);
  assert.equal(clients.failures, []);
});

test('a name that leads elsewhere: refused with the reason, and the present certificate stays', async () => {
  const before = await shown();
  await pebble.leads(`www.${stack.domain}`, await elsewhere());
  const refused = await run('renew', '--force');
  await pebble.leads(`www.${stack.domain}`, '127.0.0.1');
  assert.is(refused.code, 1, refused.stderr);
  assert.match(refused.stderr, /no certificate was issued: www\.\S+: connection: /);
  assert.is((await shown()).serial, before.serial);
});

test('the end: the temporary certificate is back', restore);

test.run();
