/* init.ts in a copy of the repository: on a terminal and without one, with disks and files that make it difficult. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { valuesOf } from '../../scripts/lib/config/env-file.ts';
import { copyScripts } from '../support/config/copy.ts';
import { fill, withDisk } from '../support/core/disk.ts';
import { captured } from '../support/core/here.ts';
import { startOnTerminal, type Terminal } from '../support/core/terminal.ts';
import { history, until } from '../support/core/world.ts';
import { startDns } from '../support/setup/dns-server.ts';

const copy = copyScripts('docker-compose.production.yml', 'docker-compose.staging.yml');
const { directory, read, write, run } = copy;
const dns = await startDns({ 'shop.example': ['104.16.1.2'] });
const [envFile, appFile] = ['.env.production', '.env.production.app'].map(name => join(directory, name)) as [
  string,
  string,
];
const all = ['--yes', '--resolver', dns.address];
/** As cron has it. What needs Docker: test/stack/compose-audit.test.ts. */
process.env.PATH = '/usr/bin:/bin';
const SECRET = 's3cret/of+the-shop';
const HOOK = 'https://hooks.slack.example/T0/s3cret';

/** The product's own files of the copy, in this process: a run without the start of Node. */
const here: typeof import('../../scripts/lib/setup/run-init.ts') = await import(
  join(directory, 'scripts/lib/setup/run-init.ts')
);
const { loadConfig }: typeof import('../../scripts/lib/config/config.ts') = await import(
  join(directory, 'scripts/lib/config/config.ts')
);
async function initHere(flags: Record<string, string> = { domain: 'shop.example' }) {
  const options = { flags, yes: true, resolver: dns.address };
  const { value } = await captured(() =>
    here
      .runInit('production', options, () => loadConfig('production'))
      .then(
        ({ text }) => ({ code: 0, error: '', text }),
        // The copy has an OperationalError of its own.
        ({ exitCode, stack, message }) => ({
          code: exitCode,
          error: exitCode ? message : stack,
          text: undefined,
        }),
      ),
  );
  return value!;
}

/** What each file of the directory is, except of those that any run makes. */
const entries = () => readdirSync(directory).filter(name => !/^(backups|logs|state)$/.test(name));
const clean = () => {
  write(undefined);
  for (const name of ['backups', 'logs', 'state', '.env.staging', '.env.staging.app'])
    rmSync(join(directory, name), { recursive: true, force: true });
};

/** Answers one question after the other, each when it is asked. What the terminal shows from then on belongs to the next one. */
async function answer(shell: Terminal, answers: [question: RegExp, keys: string][]): Promise<void> {
  let from = 0;
  for (const [question, keys] of answers) {
    await until(`${question} is asked`, () => question.test(plain(shell.shown().slice(from))), 60);
    from = shell.shown().length;
    shell.type(`${keys}\r`);
  }
}
/** Without the movements of the cursor. */
const plain = (text: string) => stripVTControlCharacters(text);
const terminal = (...args: string[]) =>
  startOnTerminal(
    {
      root: directory,
      env: { PATH: process.env.PATH!, HOME: directory, NO_COLOR: '1', DOCKER_HOST: 'unix:///nowhere' },
    },
    'init',
    args,
  );

test('on a terminal: wrong answers are asked again with the reason, secrets are not shown, Enter takes the default', async () => {
  clean();
  const shell = terminal('--resolver', dns.address);
  await answer(shell, [
    [/^DOMAIN \[.*\]: $/m, 'https://Shop.example/'],
    [/✗ DOMAIN: a host name[\s\S]*is\s+shop\.example\s+meant\?\s+DOMAIN \[.*\]: $/, 'shop.example'],
    [/API_DOMAIN \[api\.shop\.example\]: $/, ''],
    [/APP_NAME \[shop\]: $/, 'my-shop'],
    [/BACKEND_IMAGE \[leave out\]: $/, 'shop/backend:1'],
    [/FRONTEND_IMAGE \[leave out\]: $/, 'shop/frontend:1'],
    [/S3_BUCKET \[leave out\]: $/, 'shop-backups'],
    [/S3_ENDPOINT \[leave out\]: $/, ''],
    // Typed ahead, also the answers to questions that show none: the first of them is empty, and is asked again.
    [/AWS_REGION \[us-east-1\]: $/, `eu-west-3\r\rAKIASHOPKEY\r${SECRET}`],
    [/✗ AWS_ACCESS_KEY_ID: needed\s+AWS_ACCESS_KEY_ID: [\s\S]*SLACK_WEBHOOK_URL \[leave out\]: $/, HOOK],
  ]);
  assert.is(await shell.ended, 0, shell.shown());
  const [env, app] = read().map(text => valuesOf(text!));
  const { DOMAIN, API_DOMAIN, APP_NAME, AWS_REGION, AWS_SECRET_ACCESS_KEY, SLACK_WEBHOOK_URL } = env!;
  assert.equal(
    [DOMAIN, API_DOMAIN, APP_NAME, AWS_REGION, AWS_SECRET_ACCESS_KEY, SLACK_WEBHOOK_URL],
    ['shop.example', 'api.shop.example', 'my-shop', 'eu-west-3', SECRET, HOOK],
  );
  for (const secret of [SECRET, HOOK, 'AKIASHOPKEY', env!.REDIS_PASSWORD!, app!.JWT_SECRET!])
    assert.not.ok(shell.shown().includes(secret), shell.shown());
  assert.match(shell.shown(), /✓ dns: shop\.example leads to Cloudflare/);
  assert.match(shell.shown(), /warning: dns: www\.shop\.example has no address/);
  // Docker is out of reach here; where it is there, the second command is the first: stack/compose-audit.test.ts.
  assert.match(
    shell.shown(),
    /next: \S*scripts\/setup-server\.ts --check as root, which says what this server lacks, then docker compose -f \S*docker-compose\.production\.yml --env-file \S*\.env\.production up -d --wait/,
  );
  const listing = await run('config', []);
  assert.is(listing.code, 0, listing.stdout);
  assert.match(listing.stdout, /no value is wrong\n$/);
  assert.not.match(listing.stdout + listing.stderr, /warning|does not start without/);
});

test('Ctrl-C at a question leaves nothing changed', async () => {
  clean();
  const before = entries();
  const shell = terminal();
  await answer(shell, [[/DOMAIN \[.*\]: $/, 'shop.example']]);
  await shell.shows(/API_DOMAIN \[/);
  shell.type('\u0003');
  assert.is(await shell.ended, 130, shell.shown());
  assert.equal(entries(), before);
  assert.equal(readdirSync(directory).includes('state'), false);
});

test('without a terminal: exit 2 and the flags that answer; with --yes files of the owner’s only, and pure JSON', async () => {
  clean();
  const before = readdirSync(directory);
  const { code, stdout, stderr } = await run('init', ['--domain', 'shop.example']);
  assert.equal([code, stdout], [2, '']);
  assert.match(stderr, /^error: there is no terminal to ask these on: API_DOMAIN, APP_NAME, BACKEND_IMAGE/);
  assert.match(stderr, /\n {2}→ answer with --api-domain, --name, .*add --yes .*from the environment\.\n$/);
  assert.equal(readdirSync(directory), before);

  const done = await run('init', ['--domain', 'shop.example', '--json', ...all], {
    SLACK_WEBHOOK_URL: HOOK,
    DOCKER_HOST: 'unix:///nowhere',
  });
  assert.is(done.code, 0, done.stderr);
  const { written, missing, checks, next } = JSON.parse(done.stdout);
  assert.equal(missing, ['BACKEND_IMAGE', 'FRONTEND_IMAGE']);
  assert.match(
    next,
    /setup-server\.ts .*--check as root, .*, then set BACKEND_IMAGE, FRONTEND_IMAGE in \.env\.production/,
  );
  assert.equal(written.app, ['JWT_SECRET', 'CORS_ORIGIN']);
  assert.ok(checks.length > 6);
  const texts = read() as string[];
  for (const name of [...written.env, ...written.app].filter(each => /PASSWORD|SECRET|URL/.test(each)))
    assert.not.ok(
      (done.stdout + done.stderr).includes({ ...valuesOf(texts[0]!), ...valuesOf(texts[1]!) }[name]!),
      name,
    );
  const facts = () =>
    [envFile, appFile].map(path => {
      const { mode, ino, mtimeMs } = statSync(path);
      return [readFileSync(path, 'utf8'), (mode & 0o777).toString(8), ino, mtimeMs];
    });
  const first = facts();
  assert.equal(
    first.map(([, mode]) => mode),
    ['600', '600'],
  );
  assert.not.match(texts.join(''), /neurmatic/i);
  const again = await run('init', all, { DOMAIN: 'other.example' });
  assert.is(again.code, 0, again.stderr);
  assert.match(again.stdout, /^\.env\.production: unchanged\n\.env\.production\.app: unchanged\n/);
  assert.not.match(again.stderr, /from here on/);
  assert.match(
    again.stdout,
    /warning: configuration: variables of this shell have other values .*: DOMAIN\n.*unset DOMAIN/,
  );
  assert.equal(facts(), first, 'a second run changes nothing');
  const lines = history({ env: { STATE_DIR: join(directory, 'state') } } as never);
  assert.equal(
    lines.map(({ script, exitCode }) => [script, exitCode]),
    [
      ['init.ts', 0],
      ['init.ts', 0],
    ],
  );
});

test('killed between the two files, the next run writes the other and asks for nothing', async () => {
  clean();
  assert.is((await initHere()).code, 0);
  const [env, app] = read();
  unlinkSync(appFile);
  assert.is((await initHere({})).code, 0);
  assert.is(read()[0], env);
  assert.equal(Object.keys(valuesOf(read()[1]!)), Object.keys(valuesOf(app!)));
  write(''); // an empty file, such as `touch` makes, is a new one
  assert.is((await initHere()).code, 0);
  assert.equal(Object.keys(valuesOf(read()[0]!)), Object.keys(valuesOf(env!)));
});

test('bad values, another environment’s file and a file that all can write are refused before a question', async () => {
  for (const [text, says] of [
    // Of an installation whose variables are in one file: a new secret would contradict this one.
    ['JWT_SECRET=mine\n', /has 1 variable of the application.*: JWT_SECRET/],
    ['PGPORT=x\nDOMAIN=http://x\n', /2 bad value\(s\):\n.*\n.*/],
    ['A=$HOME\n', /A: Compose would read another value/],
    ['DEPLOY_ENV=staging\n', /is the file of another environment/],
  ] as const) {
    write(text);
    const { code, error } = await initHere();
    assert.equal([code, read()[0], read()[1]], [2, text, undefined], error);
    assert.match(error, says);
  }
});

test('files that are links stay links, also where they lead nowhere yet', async () => {
  clean();
  const elsewhere = join(directory, 'elsewhere');
  mkdirSync(elsewhere);
  writeFileSync(join(elsewhere, 'app'), 'JWT_SECRET=\n', { mode: 0o640 });
  symlinkSync('elsewhere/env', envFile);
  symlinkSync(join(elsewhere, 'app'), appFile);
  const { code, error } = await initHere();
  assert.is(code, 0, error);
  assert.equal([readlinkSync(envFile), readlinkSync(appFile)], ['elsewhere/env', join(elsewhere, 'app')]);
  assert.equal(
    ['env', 'app'].map(name => (lstatSync(join(elsewhere, name)).mode & 0o777).toString(8)),
    ['600', '640'],
  );
  assert.equal(readdirSync(elsewhere), ['app', 'env']);
  assert.match(read()[1]!, /^JWT_SECRET=[0-9a-f]{64}\n$/);
  rmSync(elsewhere, { recursive: true });
});

test('a port that a program holds is named with the program', async () => {
  clean();
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    write(`HTTP_PORT=${port}\nHTTPS_PORT=1\n`);
    const { code, text = '', error } = await initHere();
    assert.is(code, 0, error);
    assert.match(
      text,
      new RegExp(`warning: ports: port ${port} is held by .* \\(process ${process.pid}\\).*\n.*HTTP_PORT`),
    );
    assert.match(text, /✓ ports: port 1 is free/);
    // What can't be looked at is no reason to fail.
    write('HTTP_PORT=none\n');
    const unknown = await initHere();
    assert.is(unknown.code, 0, unknown.error);
    assert.match(unknown.text!, /unknown: ports: could not look at the port/);
  } finally {
    server.close();
  }
});

test('the data of a database whose passwords are lost gets no new ones', async () => {
  clean();
  const bin = join(directory, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'docker'), '#!/bin/sh\n[ "$1" = volume ] && echo shop-production_postgres_data\n', {
    mode: 0o755,
  });
  const { PATH } = process.env;
  process.env.PATH = `${bin}:${PATH}`;
  try {
    const { code, error } = await initHere();
    assert.equal([code, read()], [2, [undefined, undefined]], error);
    assert.match(error, /the volume shop-production_postgres_data has a database/);
    write('POSTGRES_PASSWORD=known\n');
    assert.is((await initHere()).code, 0);
  } finally {
    process.env.PATH = PATH;
    rmSync(bin, { recursive: true });
  }
});

test('a full disk: no file or the one that was, and the next run ends the work', async () => {
  clean();
  const disk = join(directory, 'disk');
  await withDisk(disk, 40 * 4096, async () => {
    const [env, app] = [join(disk, 'env'), join(disk, 'app')];
    symlinkSync(env, envFile);
    symlinkSync(app, appFile);
    let filler = fill(disk);
    const none = await initHere();
    assert.equal([none.code, readdirSync(disk)], [1, ['filler']], none.error);
    unlinkSync(filler);
    const pages = Math.ceil((statSync(join(directory, '.env.example')).size + 500) / 4096); // and its secrets
    filler = fill(disk, pages * 4096); // room for the first file
    const first = await initHere();
    unlinkSync(filler);
    assert.equal([first.code, readdirSync(disk)], [1, ['env']], first.error);
    const before = readFileSync(env, 'utf8');
    assert.is((await initHere({})).code, 0);
    assert.is(readFileSync(env, 'utf8'), before);
    assert.match(readFileSync(app, 'utf8'), /^JWT_SECRET=[0-9a-f]{64}$/m);
  });
  clean();
  rmSync(disk, { recursive: true });
});

test('a directory that can’t be written is refused before a question', async () => {
  clean();
  execFileSync('mount', ['--bind', directory, directory]);
  execFileSync('mount', ['-o', 'remount,bind,ro', directory]);
  try {
    const { code, error } = await initHere();
    assert.is(code, 1, error);
    assert.match(error, /can't write \S+\.env\.production: EROFS/);
  } finally {
    execFileSync('umount', ['--lazy', directory]);
  }
});

test('the servers stop', async () => {
  await dns.stop();
  copy.remove();
});

test.run();
