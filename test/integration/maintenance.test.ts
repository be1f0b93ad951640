/* maintenance.ts on, off and status, with a server in the place of Nginx that looks at the same file. The real one: test/stack/headers.test.ts. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { authority, issue } from '../support/certificates/authority.ts';
import { copyScripts } from '../support/config/copy.ts';

const copy = copyScripts();
const directory = join(copy.directory, 'nginx/maintenance');
mkdirSync(join(copy.directory, 'made'));
const made = join(copy.directory, 'made');
const { certificate, file } = issue(made, 'leaf', {
  names: ['acme.example'],
  issuer: authority(made, 'Root'),
});

let isDeaf = false;
const nginx = createServer({ cert: certificate, key: readFileSync(`${file}.key`) }, (request, response) => {
  const isOn = !isDeaf && existsSync(join(directory, 'on'));
  response.writeHead(isOn ? 503 : request.headers.host === 'acme.example' ? 200 : 404).end();
});
await new Promise<void>(resolve => nginx.listen(0, '127.0.0.1', resolve));
nginx.unref();
const { port } = nginx.address() as AddressInfo;
process.once('exit', () => copy.remove());

const env = (more = '') => copy.write(`DOMAIN=acme.example\nHTTPS_PORT=${port}\n${more}`);
env();
const page = (...args: string[]) => copy.here('maintenance', args);
const files = () =>
  readdirSync(directory)
    .filter(name => name !== 'index.html')
    .sort();
const report = async () => JSON.parse((await page('status', '--json')).stdout);

test('on, with others, and off; each run says what visitors see, and each is in the history', async () => {
  const on = await page('on', '--allow', '203.0.113.7,2001:db8:0:1::9');
  assert.is(on.code, 0, on.stderr);
  assert.match(
    on.stdout,
    /^maintenance page: on since .*: all but 2001:db8:0:1::\/64, 203\.0\.113\.7 get 503\n/,
  );
  assert.match(
    on.stdout,
    /https:\/\/acme\.example answers 503\n.*https:\/\/api\.acme\.example answers 503\n/,
  );
  assert.equal(files(), ['allowed-2001:db8:0:1', 'allowed-203.0.113.7', 'on']);
  for (const name of files())
    assert.is(statSync(join(directory, name)).mode & 0o777, 0o644, 'Nginx’s user reads it');

  const status = await report();
  assert.equal([status.on, status.allowed], [true, ['2001:db8:0:1::/64', '203.0.113.7']]);
  assert.is((await page('on')).code, 0, 'a second time: nobody passes');
  assert.equal(files(), ['on']);
  assert.is((await report()).since, status.since, 'it was on already');

  const off = await page('off');
  assert.is(off.code, 0, off.stderr);
  assert.match(off.stdout, /^maintenance page: off\n.* answers 200\n.* answers 404\n/);
  assert.equal(files(), []);
  assert.equal((await report()).on, false);
  assert.is((await page('off')).code, 0, 'it was off');
  const history = readFileSync(join(copy.directory, 'state/history.jsonl'), 'utf8');
  assert.is(history.match(/"script":"maintenance\.ts"/g)!.length, 4, 'status changes nothing');
});

test('who was allowed in an earlier maintenance, which ended by hand, is not in the next one', async () => {
  await page('on', '--allow', '203.0.113.7');
  rmSync(join(directory, 'on'));
  writeFileSync(join(directory, 'allowed-203.0.113.8.partial'), ''); // of a run that was killed
  assert.equal((await report()).allowed, []);
  await page('on', '--allow', '203.0.113.9');
  assert.equal(files(), ['allowed-203.0.113.9', 'on']);
  await page('off');
});

test('Nginx of another directory: exit code 3, on and off', async () => {
  isDeaf = true;
  const on = await page('on');
  assert.is(on.code, 3);
  assert.match(
    on.stderr,
    /is on, but https:\/\/acme\.example answers 200 to this server\n {2}→ .*docker inspect/,
  );
  isDeaf = false;
  assert.is((await page('status')).code, 0);
  await page('off');
});

test('Nginx is not running: it is on when Nginx starts', async () => {
  copy.write('DOMAIN=acme.example\nHTTPS_PORT=9\n');
  const { code, stdout } = await page('on');
  assert.is(code, 0);
  assert.match(stdout, /https:\/\/acme\.example 127\.0\.0\.1:9 does not answer: .*ECONNREFUSED/);
  env();
  await page('off');
});

test('wrong arguments are exit code 2, and nothing is switched', async () => {
  for (const args of [
    [],
    ['of'],
    ['off', '--allow', '203.0.113.7'],
    ['on', '--allow', '203.0.113.0/24'],
    ['on', 'off'],
  ])
    assert.is((await page(...args)).code, 2, args.join(' '));
  assert.equal(files(), []);
});

test('an unfinished rollback of the database: off is refused, because visitors would write what is lost', async () => {
  const images = { backend: 'a', frontend: 'a' };
  const release = {
    time: new Date().toISOString(),
    environment: 'production',
    kind: 'rollback',
    release: 'v1',
    images,
  };
  const rest = {
    previous: images,
    migrations: [],
    contracting: [],
    backup: 'x',
    by: 'me',
    servers: [],
    surge: null,
    unwell: [],
  };
  const data = { wanted: 'latest', allowSmall: false, oid: 16_384, maintenance: false };
  const journal = join(copy.directory, 'state/production.deploy.json');
  writeFileSync(journal, JSON.stringify({ ...release, ...rest, step: 'restore', data }));
  writeFileSync(join(directory, 'on'), '');
  const off = await page('off');
  assert.is(off.code, 1, off.stderr);
  assert.match(off.stderr, /a rollback to v1 was interrupted .*\n {2}→ .*deploy\.ts --resume/);
  assert.equal(files(), ['on']);
  rmSync(journal);
  await page('off');
});

test('what an operator switches on stays after a rollback; what the rollback has switched on does not', async () => {
  const { beginMaintenance, endMaintenance }: typeof import('../../scripts/lib/nginx/maintenance.ts') =
    await import(join(copy.directory, 'scripts/lib/nginx/maintenance.ts'));
  writeFileSync(join(directory, 'allowed-203.0.113.7'), ''); // of an earlier maintenance
  await beginMaintenance();
  assert.equal(files(), ['on']);
  await endMaintenance(false);
  assert.equal(files(), []);

  await beginMaintenance();
  await page('on', '--allow', '203.0.113.7');
  await endMaintenance(false);
  assert.equal(files(), ['allowed-203.0.113.7', 'on'], 'switched on meanwhile');
  await beginMaintenance();
  await endMaintenance(true);
  assert.equal(files(), ['allowed-203.0.113.7', 'on'], 'switched on before');
  await page('off');
});

test.run();
