/* An env file as a whole: missing, of another environment, open to all users, with names that have no effect. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkEnvFile } from '../../scripts/lib/config/env-file-check.ts';
import { type OperationalError, textOf } from '../../scripts/lib/core/errors.ts';
import { captured } from '../support/core/here.ts';

const directory = mkdtempSync(join(tmpdir(), 'env-file-'));
const path = join(directory, '.env.staging');
test.after(() => rmSync(directory, { recursive: true }));

/** @returns what a script of staging says about a file of this text and mode */
async function said(text: string | undefined, mode = 0o600, given: NodeJS.ProcessEnv = {}) {
  rmSync(path, { force: true });
  if (text !== undefined) {
    writeFileSync(path, text);
    chmodSync(path, mode);
  }
  let refused = '';
  const { stderr, code } = await captured(async () => {
    try {
      checkEnvFile('staging', path, given);
    } catch (error) {
      refused = textOf(error as OperationalError);
      throw error;
    }
  });
  return { code, text: refused + stderr };
}

test('a missing file is an error with the command that makes it, but for variables in the environment', async () => {
  const { code, text } = await said(undefined);
  assert.is(code, 2);
  assert.is(
    text,
    `there is no ${path}, and no variable of it is in the environment\n` +
      '  → restore it from a copy, or make it: ./scripts/init.ts',
  );
  for (const given of [{ POSTGRES_DB: 'app' }, { BACKUP_DIR: '/srv' }, { S3_BUCKET: 'bucket' }])
    assert.equal(await said(undefined, 0, given), { code: 0, text: '' });
});

test('a variable of another program does not replace the file', async () => {
  const given = {
    AWS_REGION: 'eu-west-3',
    AWS_ACCESS_KEY_ID: 'id',
    PGHOST: 'db',
    HOME: '/root',
    POSTGRES_DB: '',
  };
  assert.is((await said(undefined, 0, given)).code, 2);
});

test('a file that everyone can write is refused, one that everyone can read is a warning', async () => {
  for (const mode of [0o666, 0o602, 0o606]) {
    const { code, text } = await said('APP_NAME=shop\n', mode);
    assert.is(code, 2);
    assert.match(
      text,
      `every user of this server can write ${path}\n  → check its values, then: chmod 600 ${path}`,
    );
  }
  for (const mode of [0o644, 0o664, 0o604]) {
    const { code, text } = await said('APP_NAME=shop\n', mode);
    assert.is(code, 0);
    assert.is(
      text,
      `warning: every user of this server can read the secrets of ${path}: chmod 600 ${path}\n`,
    );
    break; // the others would be the same warning, which is shown once
  }
  for (const mode of [0o600, 0o400, 0o640, 0o660]) assert.is((await said('APP_NAME=shop\n', mode)).text, '');
});

test('a file of the other environment is refused, one that names none is not', async () => {
  for (const line of ['DEPLOY_ENV=production', "DEPLOY_ENV='production'", 'export DEPLOY_ENV=prod']) {
    const { code, text } = await said(`${line}\n`);
    assert.is(code, 2);
    assert.match(text, `${path} is the file of another environment: DEPLOY_ENV in it is not staging`);
  }
  for (const line of ['DEPLOY_ENV=staging', 'DEPLOY_ENV=', '']) assert.is((await said(`${line}\n`)).code, 0);
});

test('names that were meant for these scripts are a warning, without values; the application’s are not', async () => {
  const { code, text } = await said('DB_NAME=shop\nS3_BUKET=secret\nPORT=3000\nAPP_NAME=shop\n');
  assert.is(code, 0);
  assert.is(
    text,
    `warning: ${path} has names that have no effect:\n` +
      '  DB_NAME: no script reads it; set POSTGRES_DB\n' +
      '  S3_BUKET: no script reads it; is S3_BUCKET meant?\n',
  );
});

test.run();
