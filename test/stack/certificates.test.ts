/** Certificates of a real authority (pebble), by real certbot, in a real stack: issued, renewed. Refusals: test/long/. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { certificatesOf } from './lib/certificates.ts';
import { clientsOf } from './lib/clients.ts';
import { sharedStack } from './lib/shared.ts';

const stack = await sharedStack();
const { pebble, run, runJob, cronLog, shown, status, restore } = await certificatesOf(stack, { reuse: true });

test('issue: from the self-signed certificate to that of the authority, for every name', async () => {
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

test('the job of the crontab renews when the authority asks for it (ARI), and no request is lost', async () => {
  const before = await shown();
  await pebble.suggests(before.pem, new Date(Date.now() - 7_200_000), new Date(Date.now() - 3_600_000));
  const own = stack.ca;
  stack.ca = readFileSync(pebble.caFile, 'utf8'); // of the clients, who verify what they are shown
  const clients = await clientsOf(stack, 4);
  const renewed = await runJob('37 17 1 1 4');
  await clients.leave();
  stack.ca = own;
  assert.equal(renewed, { code: 0, signal: null, stdout: '', stderr: '' }, 'cron would mail it');
  assert.match(cronLog(), /^served now: /m);
  const now = await shown();
  assert.is.not(now.serial, before.serial);
  assert.ok(clients.sent() > 20, `${clients.sent()}`);
  assert.equal(clients.failures, []);
});

test('the end: the temporary certificate is back', restore);

test.run();
