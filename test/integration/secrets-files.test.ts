/* secrets.ts in a copy of the repository: what it fills, what it finds, and that it shows no value. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { valuesOf } from '../../scripts/lib/config/env-file.ts';
import { withLock } from '../../scripts/lib/core/lock.ts';
import { copyScripts } from '../support/config/copy.ts';

const copy = copyScripts('docker-compose.production.yml', 'docker-compose.staging.yml', '.gitignore');
const { directory, read, write } = copy;
const path = (name: string) => join(directory, name);
const modeOf = (name: string) => statSync(path(name)).mode & 0o777;
const AGES = '.env.production.ages';
/** Without Docker: who can read its containers is then unknown. */
const env = { PATH: '/usr/bin:/bin', NO_COLOR: '1' };
const secrets = (...args: string[]) => copy.here('secrets', args, env);
const ofStaging = (text?: string) => {
  rmSync(path('.env.staging'), { force: true });
  if (text !== undefined) writeFileSync(path('.env.staging'), text, { mode: 0o600 });
};
const random = (digit: string) =>
  `${digit}f3a9c1e7b5d20864`.repeat(4).slice(1, 48) + digit + '7c2b8e4d6f1a0935';
const GOOD = [
  ...[
    'DEPLOY_ENV=production',
    'BACKEND_IMAGE=shop/b:1',
    'FRONTEND_IMAGE=shop/f:1',
    'DATABASE_URL=x',
    'REDIS_URL=x',
  ],
  ...['POSTGRES_PASSWORD', 'APP_DB_PASSWORD', 'BACKUP_DB_PASSWORD', 'REDIS_PASSWORD'].map(
    (name, at) => `${name}=${random(`${at}`)}`,
  ),
].join('\n');
const GOOD_APP = `JWT_SECRET=${random('8')}\n`;

interface Verified {
  faults: number;
  findings: { check: string; status: string; message: string; hint: string }[];
}
async function verified(): Promise<Verified & { code: number | null; text: string }> {
  const { code, stdout, stderr } = await secrets('verify', '--json');
  assert.is(stderr.includes('this is a bug'), false, stderr);
  return { ...(JSON.parse(stdout) as Verified), code, text: stdout };
}
const faults = ({ findings }: Verified) =>
  findings.filter(({ status }) => status === 'fault').map(({ check, message }) => `${check}: ${message}`);

test('generate fills what is empty, closes the files, notes the ages, and changes nothing that is set', async () => {
  write(
    '# mine\nAPP_NAME=shop\nREDIS_PASSWORD=of my own\n',
    'JWT_SECRET=\nSMTP_PASSWORD=\nSESSION_SECRET=kept\n',
  );
  for (const name of ['.env.production', '.env.production.app']) chmodSync(path(name), 0o644);
  const before = read();
  const looked = await secrets('generate', '--dry-run');
  assert.is(looked.code, 0, looked.stderr);
  assert.match(
    looked.stdout,
    /would set POSTGRES_PASSWORD, APP_DB_PASSWORD, BACKUP_DB_PASSWORD, DATABASE_URL, REDIS_URL/,
  );
  assert.equal([read(), existsSync(path(AGES)), modeOf('.env.production')], [before, false, 0o644]);

  const { code, stdout, stderr } = await secrets('generate');
  assert.is(code, 0, stderr);
  const [text, app] = read();
  const values = valuesOf(text!);
  assert.ok(text!.startsWith('# mine\nAPP_NAME=shop\nREDIS_PASSWORD=of my own\n'));
  assert.is(app, `JWT_SECRET=${valuesOf(app!).JWT_SECRET}\nSMTP_PASSWORD=\nSESSION_SECRET=kept\n`);
  const made = [
    values.POSTGRES_PASSWORD,
    values.APP_DB_PASSWORD,
    values.BACKUP_DB_PASSWORD,
    valuesOf(app!).JWT_SECRET,
  ];
  for (const value of made) {
    assert.match(value!, /^[0-9a-f]{64}$/);
    assert.not.ok((stdout + stderr + readFileSync(path(AGES), 'utf8')).includes(value!));
  }
  assert.is(new Set(made).size, 4);
  assert.ok(values.DATABASE_URL!.includes(`shop:${values.APP_DB_PASSWORD}@postgres`));
  for (const name of ['.env.production', '.env.production.app', AGES]) assert.is(modeOf(name), 0o600, name);
  const after = read();
  const again = await secrets('generate');
  assert.match(
    again.stdout,
    /^\.env\.production: nothing is empty\n\.env\.production\.app: nothing is empty$/m,
  );
  assert.equal(read(), after);
});

test('status tells ages against the policy, and a value that was changed by hand', async () => {
  const ages = JSON.parse(readFileSync(path(AGES), 'utf8'));
  const ago = (days: number) => new Date(Date.now() - days * 86_400_000 - 60_000).toISOString();
  ages.POSTGRES_PASSWORD.since = ago(89);
  ages.APP_DB_PASSWORD.since = ago(90);
  ages.JWT_SECRET.since = ago(179);
  writeFileSync(path(AGES), JSON.stringify(ages));
  const rows = async () => {
    const { code, stdout } = await secrets('status', '--json');
    const { secrets: all, due } = JSON.parse(stdout);
    return { code, due, of: (name: string) => all.find((each: { name: string }) => each.name === name) };
  };
  const first = await rows();
  assert.equal([first.code, first.due], [1, ['APP_DB_PASSWORD']]);
  assert.equal([first.of('POSTGRES_PASSWORD').ageDays, first.of('POSTGRES_PASSWORD').policyDays], [89, 90]);
  assert.equal([first.of('JWT_SECRET').ageDays, first.of('JWT_SECRET').policyDays], [179, 180]);
  assert.equal([first.of('REDIS_PASSWORD').older, first.of('SESSION_SECRET').state], [true, 'noted']);
  ages.JWT_SECRET.since = ago(180);
  writeFileSync(path(AGES), JSON.stringify(ages));
  assert.equal((await rows()).due, ['APP_DB_PASSWORD', 'JWT_SECRET']);
  const [text, app] = read();
  write(text!.replace(/^APP_DB_PASSWORD=.*/m, `APP_DB_PASSWORD=${random('c')}`), app);
  const changed = await rows();
  assert.equal([changed.of('APP_DB_PASSWORD').state, changed.due], ['changed by hand', ['JWT_SECRET']]);
  assert.match((await secrets('status')).stdout, /generate\nnext: \.\/scripts\/secrets\.ts rotate --due$/m);
  writeFileSync(path(AGES), 'no JSON');
  const damaged = await secrets('status');
  assert.match(damaged.stderr, /damaged; the ages in it are not used/);
  assert.equal([damaged.code, /not noted/.test(damaged.stdout)], [0, true]);
  rmSync(path(AGES));
});

test('verify finds nothing in good files, and one fault in each that has one', async () => {
  write(GOOD, GOOD_APP);
  ofStaging();
  const good = await verified();
  assert.equal([good.code, faults(good)], [0, []], good.text);
  assert.ok(good.findings.some(({ check, status }) => check === 'docker' && status === 'unknown'));
  const other = GOOD.replace('DEPLOY_ENV=production', 'DEPLOY_ENV=staging').replaceAll(
    /(PASSWORD=)./g,
    '$1e',
  );
  const cases: [what: string, set: () => void, expected: RegExp][] = [
    [
      'missing',
      () => write(GOOD.replace(/^REDIS_PASSWORD=.*/m, ''), GOOD_APP),
      /^missing: REDIS_PASSWORD is empty in \.env\.production$/,
    ],
    [
      'missing of the app',
      () => write(GOOD, 'JWT_SECRET=\n'),
      /^missing: JWT_SECRET is empty in \.env\.production\.app$/,
    ],
    [
      'placeholder',
      () => write(GOOD, 'JWT_SECRET=change-me-in-production-please-do\n'),
      /^placeholder: JWT_SECRET/,
    ],
    [
      'placeholder elsewhere',
      () => write(`${GOOD}\nSENTRY_AUTH_TOKEN=<token>\n`, GOOD_APP),
      /^placeholder: SENTRY_AUTH_TOKEN/,
    ],
    [
      'weak',
      () => write(GOOD, 'JWT_SECRET=hunter2hunter3\n'),
      /^weak: JWT_SECRET is not 64 random characters: it has 14 characters$/,
    ],
    [
      'twice',
      () => write(GOOD, `JWT_SECRET=${random('3')}\n`),
      /^same: REDIS_PASSWORD and JWT_SECRET have the same value$/,
    ],
    [
      'same',
      () => ofStaging(other.replace(/^REDIS_PASSWORD=.*/m, `REDIS_PASSWORD=${random('3')}`)),
      /^same: REDIS_PASSWORD has the same value in staging$/,
    ],
    [
      'same under another name',
      () => ofStaging(other.replace(/^APP_DB_PASSWORD=.*/m, `APP_DB_PASSWORD=${random('0')}`)),
      /^same: POSTGRES_PASSWORD has the same value in staging, as APP_DB_PASSWORD$/,
    ],
    [
      'mode',
      () => chmodSync(path('.env.production.app'), 0o640),
      /^mode: \.env\.production\.app can be read by others: its mode is 640/,
    ],
    [
      'mode of a copy',
      () => writeFileSync(path('.env.production.bak'), 'A=1', { mode: 0o644 }),
      /^mode: \.env\.production\.bak can be read/,
    ],
    ['directory', () => chmodSync(directory, 0o777), /^mode: every user of this server can replace files/],
  ];
  for (const [what, set, expected] of cases) {
    write(GOOD, GOOD_APP);
    ofStaging(other);
    set();
    const result = await verified();
    assert.equal([result.code, faults(result).length], [3, 1], `${what}: ${result.text}`);
    assert.match(faults(result)[0]!, expected, what);
    for (const digit of '01238') assert.not.ok(result.text.includes(random(digit)), what);
    rmSync(path('.env.production.bak'), { force: true });
    chmodSync(directory, 0o700);
  }
  write(GOOD, GOOD_APP);
  ofStaging(other);
  assert.equal(faults(await verified()), []);
});

test('verify finds what Git tracks, has tracked, or has in another file', async () => {
  write(GOOD, GOOD_APP);
  ofStaging();
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', directory, '-c', 'user.name=x', '-c', 'user.email=x@x.invalid', ...args], {
      stdio: 'pipe',
    });
  const unknown = (await verified()).findings.filter(({ check }) => check === 'git');
  assert.equal(
    unknown.map(({ status }) => status),
    ['unknown'],
    'there is no repository',
  );
  git('init', '--quiet');
  writeFileSync(path('.env.production.age'), 'encrypted', { mode: 0o644 });
  git('add', 'package.json', '.env.production.age');
  git('commit', '--quiet', '--message=a');
  assert.equal(faults(await verified()), []);
  git('add', '--force', '.env.production');
  git('commit', '--quiet', '--message=b');
  assert.match(faults(await verified()).join(), /^git: Git tracks \.env\.production: /);
  git('rm', '--quiet', '--cached', '.env.production');
  git('commit', '--quiet', '--message=c');
  assert.equal(faults(await verified()), ['git: the history of this repository has .env.production']);
  rmSync(path('.git'), { recursive: true });
  git('init', '--quiet');
  writeFileSync(path('deploy.yml'), `password: ${random('3')}\n`);
  git('add', 'deploy.yml');
  assert.equal(faults(await verified()), [
    'git: deploy.yml, which Git tracks, has the value of REDIS_PASSWORD',
  ]);
  for (const name of ['.git', 'deploy.yml', '.env.production.age']) rmSync(path(name), { recursive: true });
});

test('passwords of an earlier start are removed where there is no database, and reported until then', async () => {
  const bin = path('bin');
  mkdirSync(bin, { recursive: true });
  const withDocker = { ...env, PATH: `${bin}:${env.PATH}` };
  const answers = (volumes: string) =>
    writeFileSync(join(bin, 'docker'), `#!/bin/sh\n[ "$1" = volume ] && ${volumes}\n`, { mode: 0o755 });
  const text = `${GOOD}\nINITIAL_APP_DB_PASSWORD='an old $one'\nX=1\n`;
  const initial = async () => {
    const { stdout } = await copy.here('secrets', ['verify', '--json'], withDocker);
    return faults(JSON.parse(stdout));
  };
  for (const [volumes, stays] of [
    ['echo neurmatic-production_postgres_data', true],
    ['exit 1', true],
    ['echo other_postgres_data', false],
  ] as const) {
    write(text, GOOD_APP);
    answers(volumes);
    const found = await initial();
    assert.equal(found.length, stays ? 0 : 1, volumes);
    if (!stays) assert.match(found[0]!, /^docker: INITIAL_APP_DB_PASSWORD: a new database would get these/);
    const look = await copy.here('secrets', ['generate', '--dry-run', '--json'], withDocker);
    assert.equal(
      [JSON.parse(look.stdout).removed, read()[0]],
      [stays ? [] : ['INITIAL_APP_DB_PASSWORD'], text],
    );
    const { code, stderr } = await copy.here('secrets', ['generate'], withDocker);
    assert.is(code, 0, stderr);
    assert.is(read()[0], stays ? text : `${GOOD}\nX=1\n`, volumes);
  }
  rmSync(bin, { recursive: true });
});

test('a rotation that is not finished: status and every script that would come between say so; --resume goes on', async () => {
  write(GOOD, GOOD_APP);
  ofStaging();
  const journal = path('state/production.rotate.json');
  const left = {
    ...{
      time: '2026-01-31T02:00:07.000Z',
      by: 'somebody',
      name: 'JWT_SECRET',
      step: 'backends with the new value',
    },
    ...{ servers: ['server backend-1:3000 resolve;'], old: null, print: null },
  };
  writeFileSync(journal, JSON.stringify(left));
  for (const [script, ...args] of [
    ['config', '--write'],
    ['scale', '3'],
    ['deploy', '2.0.0', '--yes'],
    ['rollback', '--yes'],
    ['secrets', 'rotate', 'JWT_SECRET', '--yes'],
  ] as const) {
    const { code, stderr } = await copy.here(script, [...args], env);
    assert.is(code, 1, stderr);
    assert.match(
      stderr,
      /a rotation of JWT_SECRET was interrupted at the step “backends with the new value”/,
      script,
    );
    assert.match(stderr, /→ .*\.\/scripts\/secrets\.ts rotate --resume/, script);
  }
  const shown = await secrets('status');
  assert.equal([shown.code, /the rotation of JWT_SECRET is not finished: /.test(shown.stdout)], [1, true]);
  const look = await secrets('rotate', '--resume', '--dry-run', '--json');
  assert.equal(JSON.parse(look.stdout), {
    dryRun: true,
    environment: 'production',
    name: 'JWT_SECRET',
    step: 'backends with the new value',
  });
  writeFileSync(journal, JSON.stringify({ ...left, step: 'another' }));
  const other = await secrets('rotate', '--resume', '--yes');
  assert.equal(
    [other.code, /a step that this version does not have: another/.test(other.stderr)],
    [1, true],
    other.stderr,
  );
  writeFileSync(journal, '{');
  const damaged = await secrets('rotate', '--resume', '--yes');
  assert.match(
    damaged.stderr,
    /the journal of an interrupted rotation is damaged: [\s\S]*→ the stack works\. mv /,
  );
  rmSync(journal);
});

test('rotate wants one secret, one answer, and the lock', async () => {
  for (const [args, message] of [
    [['rotate', '--yes'], /rotate needs a name, --due or --resume/],
    [['rotate', 'JWT_SECRET', '--due', '--yes'], /rotate needs a name, --due or --resume/],
    [['rotate', 'JWT_SECRET'], /there is no terminal to confirm this on/],
    [
      ['rotate', 'AWS_SECRET_ACCESS_KEY', '--yes'],
      /no secret that these scripts can replace[\s\S]*issued elsewhere/,
    ],
    [['rotate', '--resume', '--yes'], /no rotation was interrupted/],
  ] as const) {
    const { code, stderr } = await secrets(...args);
    assert.is(code, 2, `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, message);
  }
  const due = await secrets('rotate', '--due', '--yes');
  assert.equal([due.code, due.stdout], [0, 'nothing is due\n'], due.stderr);
  const ended = await withLock(path('state'), 'production', 'another run', () =>
    secrets('rotate', 'JWT_SECRET', '--yes'),
  );
  assert.is(ended.code, 75, ended.stderr);
});

test('export needs no file, and wrong words are refused', async () => {
  write(undefined);
  const { code, stdout } = await secrets('export', '--for', 'github', '--env', 'staging');
  assert.is(code, 0);
  assert.match(stdout, /^DEPLOY_KEY +secret +environment staging/m);
  for (const [args, message] of [
    [['export'], /export is for github/],
    [['export', '--for', 'gitlab'], /export is for github/],
    [['status', '--for', 'github'], /status has no --for/],
    [['status', 'JWT_SECRET'], /status takes no name/],
    [['generate', '--due'], /generate has no --due/],
    [['verify', '--yes'], /verify has no --yes/],
    [['verify', '--dry-run'], /verify has no --dry-run/],
    [['destroy'], /unknown action "destroy"/],
    [[], /missing action/],
  ] as const) {
    const refused = await secrets(...args);
    assert.is(refused.code, 2, args.join(' '));
    assert.match(refused.stderr, message);
  }
  const missing = await secrets('generate');
  assert.is(missing.code, 2);
  assert.match(missing.stderr, /init\.ts/);
});

test.run();
process.once('exit', () => copy.remove());
