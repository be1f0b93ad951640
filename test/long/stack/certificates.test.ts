/** Faults of a certificate authority, short lifetimes and kills, with real certbot, pebble and Nginx. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { certificates as group } from '../../../scripts/lib/config/stack-variables.ts';
import { certificatesOf } from '../../stack/lib/certificates.ts';
import { reload } from '../../stack/lib/puppet.ts';
import { startStack } from '../../stack/lib/stack.ts';
import { kill, startProgram, until } from '../../support/core/world.ts';

const stack = await startStack();
/** Seconds: as with short-lived certificates, half of it is left at a renewal. */
const VALIDITY = 5 * 86_400;
const { directory, pebble, receiver, run, runJob, cronLog, start, shown, status, elsewhere, inNginx, stop } =
  await certificatesOf(stack, { validity: VALIDITY });
const texts = () => receiver.received.map(({ body }) => JSON.parse(body).text as string);

test('a dry run asks the authority and changes nothing', async () => {
  const before = await shown();
  const { code, stdout, stderr } = await run('issue', '--dry-run');
  assert.is(code, 0, stderr);
  assert.match(stdout, /would issue/);
  assert.is((await shown()).serial, before.serial);
});

test('what a certbot has left that was killed while it began is no obstacle', async () => {
  const volume = `${stack.app}-${stack.environment}_letsencrypt:/etc/letsencrypt`;
  const leave = 'cd /etc/letsencrypt; mkdir -p live/site archive/site renewal; : >renewal/site.conf';
  const image = group.CERTBOT_IMAGE.default;
  await stack.docker('run', '--rm', '--volume', volume, '--entrypoint', 'sh', image, '-c', leave);
  const { code, stderr } = await run('issue');
  assert.is(code, 0, stderr);
  assert.is((await status()).code, 0);
  assert.is((await run('self-signed', '--yes')).code, 0);
});

test('a name for which Nginx goes on to serve the old one: all names get that one back, exit 3', async () => {
  const before = await shown();
  const file = join(stack.directory, 'nginx/production.conf');
  const text = readFileSync(file, 'utf8');
  await inNginx('cp fullchain.pem kept.pem; cp privkey.pem kept.key');
  const kept = '/etc/nginx/certificates/kept';
  const own = `ssl_certificate ${kept}.pem; ssl_certificate_key ${kept}.key;`;
  writeFileSync(
    file,
    text.replace(/(www-name\.conf;\s+)include site\/snippets\/certificate\.conf;/, `$1${own}`),
  );
  await reload(stack);
  const { code, stderr } = await run('issue', '--force');
  assert.is(code, 3, stderr);
  assert.match(stderr, /www\.\S+ is served with serial .*; the previous certificate is served again/);
  assert.is((await shown()).serial, before.serial);
  assert.is((await status()).json.serial, before.serial);
  assert.match(texts().at(-1)!, /^certificate is REFUSED/);
  writeFileSync(file, text);
  await reload(stack);
  await inNginx('rm kept.*');
});

test('a certificate of five days: half of its lifetime is left at its renewal', async () => {
  const { code, stderr } = await run('issue');
  assert.is(code, 0, stderr);
  const { json } = await status();
  const [from, to, next] = [json.validFrom, json.validTo, json.nextRenewal].map(Date.parse) as [
    number,
    number,
    number,
  ];
  assert.ok(Math.abs((next - from) / (to - from) - 0.5) < 0.001);
  assert.is(json.daysLeft, 4);
  assert.match((await run('renew')).stdout, /^not due; /);
});

test('a name leads elsewhere, the authority has had too many requests, then is down: the certificate stays, exit 1, notified once', async () => {
  const before = await shown();
  const sent = texts().length;
  await pebble.leads(`www.${stack.domain}`, await elsewhere());
  const refused = await run('renew', '--force');
  await pebble.leads(`www.${stack.domain}`, '127.0.0.1');
  assert.is(refused.code, 1, refused.stderr);
  assert.match(refused.stderr, /no certificate was issued: www\.\S+: connection: /);
  pebble.limited = true;
  const limited = await run('renew', '--force');
  assert.is(limited.code, 1, limited.stderr);
  assert.match(limited.stderr, /no certificate was issued: .*too many certificates.*\n.*each attempt counts/);
  pebble.limited = false;
  const down = await start(['renew', '--force'], { ACME_DIRECTORY_URL: 'https://127.0.0.1:9/dir' }).ended;
  assert.is(down.code, 1, down.stderr);
  assert.match(down.stderr, /no certificate was issued: .*\n.*can’t be reached/);
  assert.is((await shown()).serial, before.serial);
  assert.is(texts().length, sent + 1, texts().join('\n'));
  assert.match(texts().at(-1)!, /^certificate is NOT RENEWED/);
  assert.is((await run('renew')).code, 0);
  assert.match(texts().at(-1)!, /^certificate has recovered/);
});

test('a domain that Nginx does not serve: refused before the authority is asked', async () => {
  const { code, stderr } = await start(['issue'], { DOMAIN: 'other.example' }).ended;
  assert.is(code, 1, stderr);
  assert.match(stderr, /other values than the configuration has now: .*DOMAIN/);
});

test('killed while certbot runs, and before the new one is served: the next run ends well', async () => {
  const before = await shown();
  const named = async (service: string) =>
    (await stack.docker('ps', '--quiet', '--filter', `name=^${stack.container(service)}$`)) !== '';
  const requesting = start(['renew', '--force']);
  await until('certbot runs', () => named('certbot'));
  const [found] = JSON.parse(await stack.docker('inspect', stack.container('certbot')));
  const { HostConfig, NetworkSettings, Mounts } = found;
  assert.equal(
    [
      HostConfig.CapDrop,
      HostConfig.CapAdd,
      HostConfig.Privileged,
      HostConfig.ReadonlyRootfs,
      HostConfig.PortBindings,
    ],
    [['ALL'], null, false, true, {}],
  );
  assert.equal(Object.keys(NetworkSettings.Networks), [`${stack.app}-${stack.environment}_edge`]);
  const mounts = Mounts.map(({ Type, Destination, RW }: { Type: string; Destination: string; RW: boolean }) =>
    [Type, Destination, RW].join(' '),
  );
  assert.equal(mounts.sort(), [
    'bind /run/authority.pem false',
    'volume /etc/letsencrypt true',
    'volume /var/lib/letsencrypt true', // of the image
    'volume /var/www/acme true',
  ]);
  await kill(requesting);
  assert.is((await shown()).serial, before.serial);
  const again = await run('renew', '--force');
  assert.is(again.code, 0, again.stderr);
  const second = await shown();
  assert.is.not(second.serial, before.serial);

  const placing = start(['renew', '--force']);
  const current = () => inNginx('readlink current');
  const pair = await current();
  await until('the new pair is in place', async () => (await current()) !== pair, 300);
  await kill(placing);
  const last = await run('renew');
  assert.is(last.code, 0, last.stderr);
  const { code, json } = await status();
  assert.is(code, 0, JSON.stringify(json));
  assert.is.not(json.serial, second.serial);
  assert.is((await shown()).serial, json.serial);
});

test('self-signed: asks for the domain; then it is served, and status says so', async () => {
  const refused = await run('self-signed');
  assert.is(refused.code, 2);
  const { code, stderr } = await run('self-signed', '--yes');
  assert.is(code, 0, stderr);
  const { code: bad, json } = await status();
  assert.is(bad, 1);
  assert.match(json.problems.join('\n'), /temporary one/);
  assert.is((await run('renew')).code, 0);
  assert.is((await status()).code, 0, 'renew serves the issued one again');
});

test('another DOMAIN: the old certificate is served for the new names, each script says what to do, and the schedule replaces it', async () => {
  const before = await shown();
  const DOMAIN = 'other.example';
  const path = join(stack.directory, '.env.production');
  writeFileSync(path, readFileSync(path, 'utf8').replace(/^DOMAIN=.*$/m, `DOMAIN=${DOMAIN}`));
  const problems = async () => {
    const { code, stdout } = await start(['status', '--json'], { DOMAIN }).ended;
    return [code, ...JSON.parse(stdout).problems];
  };
  assert.match(
    (await problems()).join('\n'),
    /^1\nNginx runs with other values .*: API_DOMAIN, DOMAIN; load them: `docker compose/,
  );
  assert.is((await shown()).serial, before.serial);

  await stack.compose('up', '--detach', '--wait', '--timeout=5', 'nginx');
  assert.is((await shown(DOMAIN)).serial, before.serial);
  let refused = false;
  await shown().catch(() => (refused = true));
  assert.ok(refused, 'a name of the old domain is refused in the handshake');
  const all = `${DOMAIN}, www.${DOMAIN}, api.${DOMAIN}`;
  assert.equal(await problems(), [
    1,
    `it is not for ${all}: \`${stack.directory}/scripts/certificates.ts issue\` requests one for all names`,
  ]);
  const health = await startProgram(
    join(stack.directory, 'scripts/health-check.ts'),
    ['--only', 'certificate', '--json'],
    {
      ...(stack.engine.env as Record<string, string>),
    },
  ).ended;
  assert.is(health.code, 2, health.stdout);
  const { message, hint } = JSON.parse(health.stdout).services.certificate;
  assert.match(message, /^it is not for other\.example; it is not for www\.other\.example/);
  assert.match(hint, /certificates\.ts issue/);

  await pebble.leads(DOMAIN, await elsewhere());
  assert.equal(await runJob('37 5 1 1 4').then(({ code, stdout }) => [code, stdout]), [
    0,
    `certificates: exit status 1, see ${join(directory, 'logs/cron.log')}\n`,
  ]);
  assert.match(cronLog(), /no certificate was issued: other\.example: connection: /);
  assert.is((await shown(DOMAIN)).serial, before.serial);
  await pebble.leads(DOMAIN, '127.0.0.1');
  assert.is((await runJob('37 11 1 1 4')).code, 1, 'the job is not due');
  assert.is((await shown(DOMAIN)).serial, before.serial);
  assert.equal(await runJob('37 17 1 1 4'), { code: 0, signal: null, stdout: '', stderr: '' });
  assert.is.not((await shown(`api.${DOMAIN}`)).serial, before.serial);
  assert.equal(await problems(), [0]);
});

test('the end', stop);

test.run();
