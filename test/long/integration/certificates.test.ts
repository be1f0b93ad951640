/* A certificate from certbot's volume to visitors, with a program in the place of Docker: what is refused, what is put back. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { obtain } from '../../../scripts/lib/certificates/obtain.ts';
import { notifying, reportOf } from '../../../scripts/lib/certificates/report.ts';
import { certificateStatus } from '../../../scripts/lib/certificates/status.ts';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import { Exit } from '../../../scripts/lib/core/errors.ts';
import { authority } from '../../support/certificates/authority.ts';
import { certificatesWorld } from '../../support/certificates/world.ts';
import { refused } from '../../support/core/in-process.ts';
import { startProgram } from '../../support/core/world.ts';
import { startReceiver } from '../../support/notify/receiver.ts';

const world = await certificatesWorld();
process.once('exit', () => world.stop());
const { config, make, next } = world;
const renew = () => obtain(config, { renewal: true });
const problems = async () => (await certificateStatus(config)).json.problems;

/** Issues one that is good. @returns its serial */
async function issued(): Promise<string> {
  const one = make();
  next(one.fullchain, one.keyFile);
  await obtain(config, { renewal: false, force: true });
  assert.is(await world.served(), one.serial);
  return one.serial;
}

test('issue, and then again: the second finds nothing due', async () => {
  const serial = await issued();
  const { changed, text, leaf } = await renew();
  assert.is(changed, false);
  assert.match(text, /^not due; acme\.example, /);
  assert.is(leaf!.serialNumber, serial);
  assert.equal(await problems(), []);
});

const REFUSED: [what: string, wishes: Parameters<typeof make>[0], reason: RegExp][] = [
  ['a certificate for other names', { names: ['other.example'] }, /it is not for acme\.example/],
  ['a chain that is cut', { chain: [] }, /its chain ends at Intermediate/],
  ['an expired one', { from: -90, to: -1 }, /it expired/],
];
for (const [what, wishes, reason] of REFUSED)
  test(`${what} is refused, and never comes into the volume of Nginx`, async () => {
    const serial = await issued();
    const bad = make(wishes);
    next(bad.fullchain, bad.keyFile);
    const before = world.calls().length;
    await refused(renew, Exit.verification, /^the new certificate is refused: /, reason, /issue --force/);
    assert.is(await world.served(), serial);
    assert.not(
      world
        .calls()
        .slice(before)
        .some(call => /copy|reload|mkdir pair/.test(call)),
    );
  });

test('the key of another certificate is refused', async () => {
  const serial = await issued();
  next(make().fullchain, make().keyFile);
  await refused(renew, Exit.verification, /the private key is not of this certificate/);
  assert.is(await world.served(), serial);
});

test('a reload that fails: the one before is put back', async () => {
  const serial = await issued();
  const one = make();
  next(one.fullchain, one.keyFile);
  world.set('no-reload', true);
  await refused(
    renew,
    Exit.verification,
    /the old workers still accept.*could not be put back: .*still accept/,
  );
  world.set('no-reload', false);
  assert.is(await world.served(), serial);
  assert.equal(await problems(), []);
});

test('a configuration of Nginx that is broken: nothing is requested', async () => {
  const serial = await issued();
  world.set('nginx-refuses', true);
  const before = world.calls().length;
  await refused(renew, Exit.failed, /^Nginx refuses its configuration/);
  world.set('nginx-refuses', false);
  assert.not(
    world
      .calls()
      .slice(before)
      .some(call => call.includes('certonly')),
  );
  assert.is(await world.served(), serial);
});

test('one that ends before the one that certbot issued earlier is served: lifetimes get shorter', async () => {
  await issued();
  const shorter = make({ to: 40 });
  next(shorter.fullchain, shorter.keyFile);
  assert.is((await renew()).changed, true);
  assert.is(await world.served(), shorter.serial);
});

test('a certificate of another origin that ends later is not replaced by the schedule', async () => {
  const cloudflare = authority(join(world.directory, 'made'), 'Origin authority');
  for (const own of [make({ to: 5000, issuer: cloudflare, chain: [] }), make({ to: 300 })]) {
    await issued();
    for (const place of ['certificates', 'loaded']) {
      writeFileSync(join(world.directory, place, 'fullchain.pem'), own.fullchain);
      writeFileSync(join(world.directory, place, 'privkey.pem'), readFileSync(own.keyFile));
    }
    const { changed, text } = await renew();
    assert.is(changed, false);
    assert.match(text, /of another origin and ends later/);
    assert.is(await world.served(), own.serial);
  }
  const shorter = make();
  next(shorter.fullchain, shorter.keyFile);
  const asked = () => obtain(config, { renewal: false });
  await refused(asked, Exit.verification, /it ends .*, before the one in place/, /issue --force/);
  assert.is.not(await world.served(), shorter.serial);
  await issued();
});

test('the authority refuses or is down: the certificate stays, and the failure is notified once, as is its end', async () => {
  const serial = await issued();
  const receiver = await startReceiver();
  const told = { ...config, webhook: receiver.url };
  const run = () => notifying(told, true, async () => reportOf(await obtain(told, { renewal: true })));
  const texts = () => receiver.received.map(({ body }) => JSON.parse(body).text as string);
  try {
    world.refuse(
      'An unexpected error occurred:\nError creating new order :: too many certificates (5) already issued\n',
    );
    const text = await refused(run, Exit.failed, /^no certificate was issued: .*too many certificates/);
    assert.match(text, /each attempt counts/);
    world.refuse(
      'An unexpected error occurred:\nrequests.exceptions.ConnectionError: Max retries exceeded\n',
    );
    await refused(run, Exit.failed, /can’t be reached/);
    assert.is(await world.served(), serial);
    assert.is(texts().length, 1, texts().join('\n'));
    assert.match(texts()[0]!, /^certificate is NOT RENEWED since .*\n?.*too many certificates/s);
    world.refuse(undefined);
    await run();
    assert.match(texts()[1]!, /^certificate has recovered: /);
  } finally {
    world.refuse(undefined);
    await receiver.stop();
  }
});

test('status: what is served and what is in place differ; without Docker it reads what is served', async () => {
  const serial = await issued();
  const other = make();
  writeFileSync(join(world.directory, 'loaded/fullchain.pem'), other.fullchain);
  writeFileSync(join(world.directory, 'loaded/privkey.pem'), readFileSync(other.keyFile));
  const differing = await certificateStatus(config);
  assert.match(
    differing.json.problems.join('\n'),
    new RegExp(`served with serial ${other.serial}, which is not the one`),
  );
  assert.is(differing.json.serial, serial);
  const { PATH } = process.env;
  process.env.PATH = '/nowhere';
  try {
    const { json } = await certificateStatus({ ...config });
    assert.is(json.serial, other.serial);
    assert.is(json.nextRenewal, null);
    assert.ok(json.problems.length > 0);
  } finally {
    process.env.PATH = PATH;
  }
  await issued();
});

test('another server on the port of Nginx: exit 3, and what is in place stays', async () => {
  const serial = await issued();
  const other = make();
  writeFileSync(join(world.directory, 'loaded/fullchain.pem'), other.fullchain);
  writeFileSync(join(world.directory, 'loaded/privkey.pem'), readFileSync(other.keyFile));
  world.set('deaf', true);
  for (let i = 0; i < 2; i++)
    await refused(
      renew,
      Exit.verification,
      /^the certificate in place is not served: .*serial/,
      /HTTPS_PORT/,
    );
  world.set('deaf', false);
  assert.is((await certificateStatus(config)).json.serial, serial);
  await renew();
  assert.is(await world.served(), serial);
});

test('a container that Docker is still removing after a kill: the next run waits for it', async () => {
  const one = make();
  next(one.fullchain, one.keyFile);
  world.set('removing', true);
  await renew();
  assert.is(await world.served(), one.serial);
});

/** The script in a process of its own, which the stub kills. */
const PROGRAM = `
  import { loadConfig } from ${JSON.stringify(join(ROOT, 'scripts/lib/config/config.ts'))};
  import { obtain } from ${JSON.stringify(join(ROOT, 'scripts/lib/certificates/obtain.ts'))};
  await obtain(loadConfig('production', process.env), { renewal: true });
`;
async function renewKilled(call?: number) {
  const env = { ...world.env, PATH: process.env.PATH! };
  const run = startProgram(process.execPath, ['--input-type=module', '--eval', PROGRAM], env);
  world.killAt(run.child.pid!, call);
  const end = await run.ended;
  world.killAt(0, undefined);
  return end;
}

test('killed before or after any command: the old or the new one is served, whole, and the next run ends well', async () => {
  const begin = async () => {
    const serial = await issued();
    const one = make();
    next(one.fullchain, one.keyFile);
    return { old: serial, one };
  };
  await begin();
  world.killAt(0, undefined);
  await renew();
  const count = world.calls().length;
  assert.ok(count > 10, `${count}`);
  for (let call = 1; call <= count; call++) {
    const { old, one } = await begin();
    const { signal, stderr } = await renewKilled(call % 2 === 0 ? call : -call);
    assert.is(signal, 'SIGKILL', stderr);
    const now = await world.served();
    assert.ok([old, one.serial].includes(now), `call ${call}: ${now}`);
    const [chain, key] = ['fullchain.pem', 'privkey.pem'].map(name =>
      readFileSync(join(world.directory, 'certificates', name)),
    );
    assert.ok(new X509Certificate(chain!).checkPrivateKey(createPrivateKey(key!)), `call ${call}`);
    await renew();
    assert.is(await world.served(), one.serial, `call ${call}: repeated`);
    assert.equal(await problems(), []);
  }
});

test.run();
