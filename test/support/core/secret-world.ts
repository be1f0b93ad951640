/** A world whose secrets all hold one word, with a server where its notifications arrive. */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import * as assert from 'uvu/assert';
import { createWorld, type Ended } from './world.ts';

export async function createSecretWorld() {
  // Of this run only: the arguments of all processes of the machine are read, another run of this test's too.
  const MARK = `S3ntinel${randomBytes(4).toString('hex')}`;
  const PASSWORD = `${MARK}/p@ss 'w"ord$`;
  const KEY_SECRET = `${MARK}+aws/secret`;
  const world = await createWorld({ password: PASSWORD, s3Here: true });
  await world.sql('CREATE TABLE t AS SELECT i, md5(i::text) AS text FROM generate_series(1, 2000) AS i');
  await world.sql(`CREATE ROLE app_user LOGIN PASSWORD '${MARK}-role'`);

  /** Where notifications arrive: what was asked for, and with what. */
  const told: { path: string; body: string }[] = [];
  const listener = createServer((request, response) => {
    let body = '';
    request.on('data', text => {
      body += text;
    });
    request.on('end', () => {
      told.push({ path: request.url!, body });
      response.end();
    });
  });
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as { port: number };

  const account = createRequire(import.meta.url)('s3rver/lib/models/account');
  account.DUMMY_ACCOUNT.createKeyPair('KEYID', KEY_SECRET);
  Object.assign(world.env, {
    AWS_ACCESS_KEY_ID: 'KEYID',
    AWS_SECRET_ACCESS_KEY: KEY_SECRET,
    SLACK_WEBHOOK_URL: `http://127.0.0.1:${port}/${MARK}-slack`,
    BACKUP_PING_URL: `http://127.0.0.1:${port}/${MARK}-ping`,
  });
  const SECRETS = [
    PASSWORD,
    encodeURIComponent(PASSWORD),
    KEY_SECRET,
    encodeURIComponent(KEY_SECRET),
    MARK, // any other form of any of them
  ];

  function assertNoSecret(text: string, where: string): void {
    for (const secret of SECRETS) assert.not.ok(text.includes(secret), `${where} shows ${secret}:\n${text}`);
  }

  function assertSilent({ stdout, stderr }: Ended): void {
    assertNoSecret(stdout, 'stdout');
    assertNoSecret(stderr, 'stderr');
  }

  return { MARK, PASSWORD, KEY_SECRET, world, SECRETS, told, listener, assertNoSecret, assertSilent };
}
