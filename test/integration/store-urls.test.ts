/* The URLs that config.ts writes, as clients read them: Node, libpq and node-postgres with a real server, ioredis. */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig, ROOT } from '../../scripts/lib/config/config.ts';
import { setVariable, valuesOf } from '../../scripts/lib/config/env-file.ts';
import { unclearLines } from '../../scripts/lib/config/env-lines.ts';
import { urlStates } from '../../scripts/lib/config/store-urls.ts';
import { percentEncoded } from '../../scripts/lib/core/format.ts';
import { identifier, literal } from '../../scripts/lib/postgres/client.ts';
import { ask } from '../support/postgres/ask.ts';
import { startTestPostgres } from '../support/postgres/test-postgres.ts';

const require = createRequire(join(ROOT, 'test/app/backend/package.json'));
const { Client } = require('pg') as { Client: new (url: string) => PgClient };
const Redis = require('ioredis') as new (
  url: string,
  options: object,
) => { options: { password?: string; host: string } };

interface PgClient {
  connect(): Promise<void>;
  query(sql: string): Promise<{ rows: { user: string; database: string }[] }>;
  end(): Promise<void>;
}

const server = await startTestPostgres();
const { postgres } = server;
const run = promisify(execFile);

/** Every printable byte; then what parsers take for an end, an escape or a space, where they may. */
const PRINTABLE = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join('');
const PASSWORDS = [
  PRINTABLE,
  [...PRINTABLE].reverse().join(''),
  '@postgres:5432/x',
  ":/?#[]@!$&'()*+,;=",
  '100%',
  '%41%zz%',
  '+a+b c',
  '"$HOME" \\ `x`',
  'ä€ 😀 ß',
  '/#?',
];

/** @returns both URLs, after they have been in an env file */
function urlsOf(user: string, password: string, database: string): Record<string, string> {
  const config = loadConfig('production', {
    POSTGRES_CONTAINER: undefined,
    DATABASE_URL_OPTIONS: '',
    POSTGRES_USER: user, // may be any name, unlike APP_DB_USER
    POSTGRES_PASSWORD: password,
    REDIS_PASSWORD: password,
    POSTGRES_DB: database,
  });
  const file = urlStates(config).reduce((text, { name, right }) => setVariable(text, name, right!), '');
  assert.equal(unclearLines(file), []);
  return valuesOf(file);
}

test('each URL says its parts, to Node, to ioredis, and to this server through libpq and node-postgres', async () => {
  try {
    for (const [index, password] of PASSWORDS.entries()) {
      const user = index === 0 ? 'it\'s @ "user": 100%/ü' : `user-${index}`;
      // node-postgres knows no name with @, /, ?, # or $.
      const odd = index === 0 ? `d b:&=+,;%'"\\ü${index}` : `d b:@/?#%&+'"$\\ü${index}`;
      const database = index < 2 ? odd : 'postgres';
      await ask(postgres, 'postgres', `CREATE ROLE ${identifier(user)} LOGIN PASSWORD ${literal(password)}`);
      if (database !== 'postgres') await ask(postgres, 'postgres', `CREATE DATABASE ${identifier(database)}`);
      const { DATABASE_URL = '', REDIS_URL = '' } = urlsOf(user, password, database);
      const parsed = new URL(DATABASE_URL);
      const parts = [parsed.username, parsed.password, parsed.pathname.slice(1)].map(decodeURIComponent);
      assert.equal([...parts, parsed.host], [user, password, database, 'postgres:5432']);
      const redis = new Redis(REDIS_URL, { lazyConnect: true }).options;
      assert.equal([redis.password, redis.host], [password, 'redis']);

      const here = DATABASE_URL.replace('@postgres:5432/', `@127.0.0.1:${postgres.port}/`);
      const sql = 'SELECT current_user AS user, current_database() AS database';
      const { PATH } = process.env;
      const { stdout } = await run('psql', ['-XAtF', '\t', '-d', here, '-c', sql], { env: { PATH } });
      assert.equal(stdout.trimEnd().split('\t'), [user, database], 'libpq');
      if (index !== 1) {
        const client = new Client(here);
        await client.connect();
        assert.equal((await client.query(sql)).rows, [{ user, database }], 'node-postgres');
        await client.end();
      }
      // The server does ask for the password.
      const wrong = here.replace(/:[^:@]*@/, `:${percentEncoded(`${password}x`)}@`);
      const refused = await run('psql', ['-XAt', '-d', wrong, '-c', sql], { env: { PATH } }).then(
        () => 'connected',
        String,
      );
      assert.match(refused, 'password authentication failed');
    }
  } finally {
    await server.stop();
  }
});

test.run();
