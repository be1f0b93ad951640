/* nginx/settings.sh itself: it accepts what the scripts accept, and nothing that Nginx would read as anything but a name. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig, ROOT } from '../../scripts/lib/config/config.ts';
import { nginxSettings, outdatedSettings } from '../../scripts/lib/nginx/settings.ts';

const directory = mkdtempSync(join(tmpdir(), 'settings-'));
const settings = join(directory, 'run');
process.once('exit', () => rmSync(directory, { recursive: true }));

const LISTS = join(ROOT, 'nginx/upstreams');
/** What is not about names: application-settings.test.ts. */
const { DOMAIN: _, API_DOMAIN: __, ...OTHERS } = nginxSettings(loadConfig('production', {}));

/** Runs the script as the container does, but for the directory. */
function write(env: Record<string, string>) {
  rmSync(settings, { recursive: true, force: true });
  const { status, stderr } = spawnSync(join(ROOT, 'nginx/settings.sh'), [settings, LISTS], {
    env: { PATH: process.env.PATH, ...OTHERS, ...env },
    encoding: 'utf8',
  });
  return { status, stderr };
}

/** @returns the configuration, or what is wrong with it */
function load(env: Record<string, string>) {
  try {
    return { config: loadConfig('production', env), problems: '' };
  } catch (error) {
    return { config: undefined, problems: (error as Error).message };
  }
}

const label = (length: number) => 'a'.repeat(length);
const NAMES: [name: string, isAccepted: boolean][] = [
  ['acme.example', true],
  ['shop.acme.example', true],
  ['a.b', true],
  ['1and1.example', true],
  ['a--b.example', true],
  ['xn--bcher-kva.example', true],
  ['shop.xn--p1ai', true],
  [`${label(63)}.example`, true],
  [`${label(63)}.${label(36)}`, true],
  [`${label(63)}.${label(37)}`, false],
  [`${label(64)}.example`, false],
  ['localhost', false],
  ['bücher.example', false],
  ['Acme.example', false],
  ['acme.EXAMPLE', false],
  ['acme.example.', false],
  ['.acme.example', false],
  ['acme..example', false],
  ['-acme.example', false],
  ['acme-.example', false],
  ['acme.-example', false],
  ['acme.example-', false],
  ['ac_me.example', false],
  ['*.acme.example', false],
  ['www.acme.example', false],
  ['10.0.0.1', false],
  ['acme.example.1', false],
  ['2001:db8::1', false],
  ['[::1]', false],
  ['https://acme.example', false],
  ['acme.example/', false],
  ['acme.example:443', false],
  ['acme.example other.example', false],
  [' acme.example', false],
  ['acme.example\t', false],
  ['acme.example\n', false],
  ['acme.example\nother.example', false],
  ['acme.example; return 200 owned', false],
  ['acme.example;}', false],
  ['acme.example # x', false],
  ['"acme.example"', false],
  ['$host', false],
  ['~^(.+)$', false],
  ['$(touch owned)', false],
  ['`touch owned`', false],
  ['acme.example\\', false],
  ['\u0430cme.example', false], // a Cyrillic letter
  ['acme．example', false], // a full stop of full width
  ['-n', false],
  ['.', false],
];

test('the script and the scripts accept the same names, for the site and for the API', () => {
  const names = { DOMAIN: 'site.example', API_DOMAIN: 'api.site.example' };
  const both = Object.keys(names) as (keyof typeof names)[];
  for (const [name, isAccepted] of NAMES) {
    // The one name that the API may have and the site may not: acceptance is looked at for each alone.
    const differs = name === 'www.acme.example';
    for (const variables of isAccepted || differs ? both.map(variable => [variable]) : [both]) {
      const expected = isAccepted || (differs && variables.includes('API_DOMAIN'));
      const given = { ...names, ...Object.fromEntries(variables.map(variable => [variable, name])) };
      const { status, stderr } = write(given);
      const { problems } = load(given);
      const which = `${variables}=${JSON.stringify(name)}`;
      assert.is(status === 0, expected, `settings.sh: ${which} ${stderr}`);
      assert.is(problems === '', expected, `configuration: ${which} ${problems}`);
      assert.is(existsSync(settings), expected, which);
      if (expected) continue;
      for (const variable of variables) {
        const [, said] = new RegExp(`^ +${variable}: (.*)$`, 'm').exec(problems) ?? [];
        assert.ok(said, `${which} ${problems}`);
        assert.match(stderr, `: ${variable}: must be ${said}\n`, 'both say the same');
      }
      assert.not.match(stderr, 'owned');
    }
  }
  assert.equal(
    readdirSync(directory),
    ['run'].filter(() => existsSync(settings)),
  );
});

test('no two servers have one name', () => {
  for (const api of ['acme.example', 'www.acme.example']) {
    const given = { DOMAIN: 'acme.example', API_DOMAIN: api };
    const { status, stderr } = write(given);
    assert.is(status, 1);
    assert.match(stderr, 'API_DOMAIN: must be another name than DOMAIN and www.<DOMAIN>\n');
    assert.match(
      load(given).problems,
      /1 bad value\(s\):\n {2}API_DOMAIN: another name than DOMAIN and www\.<DOMAIN>$/,
    );
  }
});

test('without a value, as without Compose, nothing is written, and both are named', () => {
  const { status, stderr } = write({});
  assert.is(status, 1);
  assert.match(
    stderr,
    /: DOMAIN: must .*\n.*: API_DOMAIN: must .*\n.*\n +docker compose .* up -d --timeout=5 nginx\n/s,
  );
  assert.not(existsSync(settings));
});

test('the files appear together, over those of an earlier start', () => {
  const names = { DOMAIN: 'acme.example', API_DOMAIN: 'backend.acme.example' };
  assert.is(write({ DOMAIN: 'old.example', API_DOMAIN: 'api.old.example' }).status, 0);
  const { status } = spawnSync(join(ROOT, 'nginx/settings.sh'), [settings, LISTS], {
    env: { ...process.env, ...OTHERS, ...names },
  });
  assert.is(status, 0);
  assert.equal(readdirSync(directory), ['run']);
  const read = (name: string) => readFileSync(join(settings, name), 'utf8');
  assert.equal(
    readdirSync(settings)
      .filter(name => name.includes('name'))
      .map(name => [name, read(name).split('\n')[0]]),
    [
      ['all-names.conf', 'server_name acme.example www.acme.example backend.acme.example;'],
      ['api-name.conf', 'server_name backend.acme.example;'],
      ['names.conf', read('names.conf').split('\n')[0]],
      ['site-name.conf', 'server_name acme.example;'],
      ['www-name.conf', 'server_name www.acme.example;'],
    ],
  );
  assert.not.match(readdirSync(settings).map(read).join(''), 'old');
});

test('what Nginx runs with is compared with the configuration', () => {
  const { config } = load({ DOMAIN: 'acme.example' });
  const variables = (values: Record<string, string>) =>
    JSON.stringify(['PATH=/bin', ...Object.entries(values).map(([name, value]) => `${name}=${value}`)]);
  assert.equal(nginxSettings(config!), { ...OTHERS, API_DOMAIN: 'api.acme.example', DOMAIN: 'acme.example' });
  assert.is(outdatedSettings(config!, variables(nginxSettings(config!))), undefined);
  const api = outdatedSettings(config!, variables({ ...nginxSettings(config!), API_DOMAIN: 'x.example' }));
  assert.match(api!, /now: API_DOMAIN$/);
  const names = outdatedSettings(config!, variables({ ...OTHERS, DOMAIN: 'x.example' }));
  assert.match(names!, /now: API_DOMAIN, DOMAIN$/);
  assert.match(outdatedSettings(config!, variables({}))!, /earlier version of the Compose file/);
});

test.run();
