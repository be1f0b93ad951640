/* What nginx/settings.sh makes of the paths and ports of an application: it accepts what the scripts accept, and no more. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig, ROOT } from '../../scripts/lib/config/config.ts';
import { nginxSettings } from '../../scripts/lib/nginx/settings.ts';
import { BAD } from '../support/config/bad-values.ts';

const directory = mkdtempSync(join(tmpdir(), 'application-settings-'));
process.once('exit', () => rmSync(directory, { recursive: true }));
const settings = join(directory, 'run');
cpSync(join(ROOT, 'nginx/upstreams'), join(directory, 'nginx/upstreams'), { recursive: true });

const DEFAULTS = nginxSettings(loadConfig('production', {}));
const HASH = execFileSync('openssl', ['passwd', '-6', '-stdin'], {
  input: 'secret',
  encoding: 'utf8',
}).trim();
const BEHIND = { ADMIN_ALLOW: '203.0.113.7' };

/** Runs the script as the container does, but for the directories. */
function write(env: Record<string, string>) {
  rmSync(settings, { recursive: true, force: true });
  const { status, stderr } = spawnSync(
    join(ROOT, 'nginx/settings.sh'),
    [settings, join(directory, 'nginx/upstreams')],
    { env: { PATH: process.env.PATH, ...DEFAULTS, ...env }, encoding: 'utf8' },
  );
  return { isWritten: status === 0 && existsSync(settings), stderr };
}

const read = (name: string) => readFileSync(join(settings, name), 'utf8');

/** @returns what is wrong with the value of a variable, by the scripts' rule */
function problemOf(name: string, value: string): string | undefined {
  try {
    loadConfig('production', { ...(name === 'ADMIN_PATHS' ? BEHIND : {}), [name]: value });
    return undefined;
  } catch (error) {
    return (error as Error).message.split(`${name}: `)[1]!.split('\n')[0]!;
  }
}

const PATH = ['/health', '/health/ready', '/healthz', '/a.b/c-d_e~f', '/_x', '/A/1'];
const LISTS = ['/webhooks', '/webhooks,/oauth/callback', '/a,/a', '/apis,/a/api,/socket.iox'];
const NETWORKS =
  '203.0.113.7 0.0.0.0 255.255.255.255 10.0.0.0/8 10.8.0.0/16,203.0.113.7/32 2001:db8::/32 2001:db8::1 1:2:3:4:5:6:7:8';
const GOOD: Record<string, string[]> = {
  HEALTH_PATH: PATH,
  READY_PATH: PATH,
  METRICS_PATH: [...PATH, 'none'],
  UPLOAD_PATHS: ['/a:1k', '/api/v1/media/upload:10m,/api/v1/uploads:50m', '/a.b:9999m'],
  PUBLIC_PATHS: LISTS,
  ADMIN_PATHS: LISTS,
  ADMIN_ALLOW: NETWORKS.split(' '),
  ADMIN_HASHED_PASSWORD: [HASH, `$5$rounds=5000$${'a'.repeat(40)}`, '$apr1$abcdefgh$0123456789abcdefghij./'],
};

/** What would be another directive, another line, or a word of a shell; and a letter that is not ASCII. */
const HOSTILE = [
  '/a;return 200',
  '/a{',
  '/a}',
  '/a\n',
  '/a\n/b',
  '/a#',
  '/a"b',
  "/a'b",
  '/a\\b',
  '/$host',
  '/a b',
  '/a\tb',
  '/a|b',
  '/(a)',
  '/a*',
  '/a[b]',
  '/ä',
  '/а',
  '$(touch owned)',
  '`touch owned`',
  '/a%2f',
  '-n',
  '\\',
  '*',
];

/** The same place of each list, for as long as the longest: one value of each variable at a time. */
function rounds(lists: Record<string, string[]>): Record<string, string>[] {
  const length = Math.max(...Object.values(lists).map(list => list.length));
  return Array.from({ length }, (_, index) =>
    Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, list[index % list.length]!])),
  );
}

test('the script and the scripts accept these values', () => {
  for (const values of rounds(GOOD)) {
    for (const [name, value] of Object.entries(values))
      assert.is(problemOf(name, value), undefined, `${name}=${value}`);
    const { isWritten, stderr } = write(values);
    assert.ok(isWritten, stderr);
  }
});

test('the script and the scripts refuse these values, in the same words', () => {
  const bad = Object.fromEntries(Object.keys(GOOD).map(name => [name, [...BAD[name]!.slice(1), ...HOSTILE]]));
  for (const values of rounds(bad)) {
    const { isWritten, stderr } = write(values);
    assert.not(isWritten);
    for (const [name, value] of Object.entries(values)) {
      const said = problemOf(name, value);
      assert.ok(said, `${name}=${JSON.stringify(value)} is accepted by the configuration`);
      assert.match(stderr, `: ${name}: must be ${said}\n`, `${name}=${JSON.stringify(value)}`);
    }
  }
  assert.not(readdirSync(directory).includes('owned'));
});

test('without the variables it is what the defaults are', () => {
  assert.ok(write({}).isWritten);
  assert.match(read('guarded-paths.conf'), 'location ~* ^/api/v1/metrics(?:/|$) {\n    return 404;\n}\n');
  assert.match(
    read('open-paths.conf'),
    'location ~* ^/api/v1/uploads(?:/|$) {\n    client_max_body_size 50m;\n',
  );
  assert.match(read('reach.conf'), 'proxy_pass http://backend_sticky/api/v1/health;');
  assert.equal([read('admins.conf'), read('admin-paths.conf')], ['', '']);
  assert.not(existsSync(join(settings, 'admin-password')));
});

test('each path is a location, and a dot in it is a dot', () => {
  const paths = {
    HEALTH_PATH: '/health',
    READY_PATH: '/ready.json',
    METRICS_PATH: 'none',
    PUBLIC_PATHS: '/a,/b',
  };
  assert.ok(write({ ...paths, ADMIN_PATHS: '/admin/queues,/bull', ...BEHIND }).isWritten);
  const locations = (name: string) =>
    [...read(name).matchAll(/^location (.*) \{$/gm)].map(([, found]) => found);
  assert.equal(locations('guarded-paths.conf'), ['~* ^/admin/queues(?:/|$)', '~* ^/bull(?:/|$)']);
  assert.equal(locations('open-paths.conf'), [
    '~* ^/health(?:/|$)',
    '~* ^/ready\\.json(?:/|$)',
    '~* ^/a(?:/|$)',
    '~* ^/b(?:/|$)',
    '~* ^/api/v1/uploads(?:/|$)',
  ]);
  assert.equal(read('admins.conf'), 'allow 203.0.113.7;\ndeny all;\n');
});

test('pages for administrators need a password or an address', () => {
  const alone = { ADMIN_PATHS: '/admin/queues' };
  const { isWritten, stderr } = write(alone);
  assert.not(isWritten);
  assert.match(
    stderr,
    /ADMIN_PATHS: must be with ADMIN_HASHED_PASSWORD or ADMIN_ALLOW, or everybody reaches them/,
  );
  assert.throws(
    () => loadConfig('production', alone),
    /ADMIN_PATHS: needs ADMIN_HASHED_PASSWORD or ADMIN_ALLOW/,
  );
  assert.ok(write({ ...alone, ADMIN_HASHED_PASSWORD: HASH }).isWritten);
  assert.is(read('admin-password'), `admin:${HASH}\n`);
  assert.is(statSync(join(settings, 'admin-password')).mode & 0o777, 0o600);
  assert.match(
    read('admins.conf'),
    /^auth_basic administrators;\nauth_basic_user_file .*;\nproxy_set_header Authorization "";\n$/,
  );
});

test('a port that is not the lists’ is refused, with a command that corrects the list', () => {
  for (const [variable, port, part] of [
    ['FRONTEND_PORT', '8080', 'frontend'],
    ['BACKEND_PORT', '8000', 'backend'],
  ] as const) {
    const { isWritten, stderr } = write({ [variable]: port });
    assert.not(isWritten);
    assert.match(stderr, `${variable}: must be the port in nginx/upstreams/${part}.conf`);
    const [command] = /^ {2}sed .*$/m.exec(stderr)!;
    execFileSync('sh', ['-c', command!], { cwd: directory });
    assert.ok(write({ [variable]: port }).isWritten);
    const list = readFileSync(join(directory, `nginx/upstreams/${part}.conf`), 'utf8');
    const before = readFileSync(join(ROOT, `nginx/upstreams/${part}.conf`), 'utf8');
    assert.is(list, before.replace(/(?<=^server [\w-]+):\d+/gm, `:${port}`));
    cpSync(join(ROOT, 'nginx/upstreams'), join(directory, 'nginx/upstreams'), { recursive: true });
  }
});

test.run();
