import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inSandbox, type Sandbox, until } from '../images/sandbox.ts';

const IMAGE = 'postgres:15.20-bookworm';
const SECRET = "a secret with 'quotes' and $signs";

/** Waits for the server that other containers reach: while a cluster is being made, there is none. */
function answers(box: Sandbox, container: string, user: string): Promise<unknown> {
  const args = ['exec', container, 'pg_isready', '--quiet', '--host', '127.0.0.1', '--username', user];
  return until('PostgreSQL', async () => (await box.try(...args)).code === 0);
}

test('an empty volume becomes the cluster that the variables and the init files describe, once', () =>
  inSandbox(IMAGE, async box => {
    const [network, volume] = [await box.network(), await box.volume()];
    // As Compose mounts a secret: from a file that only root may read.
    const password = box.file('password', SECRET, 0o400);
    box.file('init/10-table.sql', 'CREATE TABLE steps (n serial, name text);');
    box.file(
      'init/20-row.sh',
      'psql -U "$POSTGRES_USER" "$POSTGRES_DB" -c "INSERT INTO steps (name) VALUES (\'sh\')"',
      0o755,
    );
    const init = box.file('init/30-row.sql.gz', gzipSync("INSERT INTO steps (name) VALUES ('sql.gz');"));
    const options = [
      ...['--network', network, '--volume', `${volume}:/var/lib/postgresql/data`],
      ...['--volume', `${password}:/run/secrets/password:ro`],
      ...['--volume', `${init.replace(/[^/]+$/, '')}:/docker-entrypoint-initdb.d:ro`],
      ...['--env', 'POSTGRES_USER=owner', '--env', 'POSTGRES_DB=shop'],
      ...['--env', 'POSTGRES_PASSWORD_FILE=/run/secrets/password'],
      ...['--env', "POSTGRES_INITDB_ARGS=--data-checksums --locale='en_US.utf8'"],
      ...[IMAGE, '-c', 'shared_buffers=48MB'],
    ];
    const first = await box.start('first', ...options);
    await answers(box, first, 'owner');
    const ask = (container: string, sql: string) =>
      box.docker(
        'exec',
        container,
        'psql',
        '--username',
        'owner',
        '--tuples-only',
        '--no-align',
        'shop',
        '-c',
        sql,
      );

    assert.is(await ask(first, 'SELECT name FROM steps ORDER BY n'), 'sh\nsql.gz');
    assert.is(await ask(first, 'SHOW data_checksums'), 'on');
    assert.is(await ask(first, 'SHOW lc_collate'), 'en_US.utf8');
    assert.is(await ask(first, 'SHOW shared_buffers'), '48MB');
    assert.match(await ask(first, 'SHOW server_version'), /^15\./);
    assert.equal(await box.users(first, 'postgres'), ['999']);

    const connect = (secret: string) => {
      const client = ['psql', '--host', first, '--username', 'owner', '--tuples-only', '--no-align', 'shop'];
      return box.once(
        '--network',
        network,
        '--env',
        `PGPASSWORD=${secret}`,
        IMAGE,
        ...client,
        '-c',
        'SELECT 1',
      );
    };
    assert.is((await connect(SECRET)).stdout.trim(), '1');
    assert.match((await connect('wrong')).stderr, /password authentication failed/);

    // SIGINT is a fast shutdown: it does not wait for this client, and is still a clean one.
    await box.docker(
      'exec',
      '--detach',
      first,
      'psql',
      '--username',
      'owner',
      'shop',
      '-c',
      'SELECT pg_sleep(600)',
    );
    await until(
      'the client',
      async () =>
        (await ask(first, "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'")) ===
        '1',
    );
    assert.is(await box.stop(first), 0);
    assert.match((await box.try('logs', first)).stderr, /database system is shut down/);

    const second = await box.start('second', ...options);
    await answers(box, second, 'owner');
    assert.is(await ask(second, 'SELECT count(*) FROM steps'), '2', 'the init files ran again');
  }));

test('without a password, or with two, it refuses to make a cluster', () =>
  inSandbox(IMAGE, async box => {
    const none = await box.once(IMAGE);
    assert.is(none.code, 1);
    assert.match(none.stdout + none.stderr, /POSTGRES_PASSWORD/);
    const file = box.file('password', 'one');
    const two = await box.once(
      ...['--volume', `${file}:/password:ro`, '--env', 'POSTGRES_PASSWORD=two'],
      ...['--env', 'POSTGRES_PASSWORD_FILE=/password', IMAGE],
    );
    assert.is(two.code, 1);
    assert.match(two.stdout + two.stderr, /POSTGRES_PASSWORD_FILE/);
    assert.match((await box.once(IMAGE, 'postgres', '--version')).stdout, /^postgres \(PostgreSQL\) 15\./);
  }));

test('a failing init file stops the start', () =>
  inSandbox(IMAGE, async box => {
    const init = box.file('init/10-bad.sql', 'SELECT 1/0;');
    const { code, stdout, stderr } = await box.once(
      ...['--volume', `${init}:/docker-entrypoint-initdb.d/10-bad.sql:ro`],
      ...['--env', 'POSTGRES_PASSWORD=secret', IMAGE],
    );
    assert.is.not(code, 0);
    assert.match(stdout + stderr, /division by zero/);
  }));

test('it runs hardened: read-only, without new privileges, with five capabilities', () =>
  inSandbox(IMAGE, async box => {
    const add = ['CHOWN', 'DAC_READ_SEARCH', 'FOWNER', 'SETGID', 'SETUID'].flatMap(name => [
      '--cap-add',
      name,
    ]);
    const container = await box.start(
      'hard',
      ...['--read-only', '--tmpfs', '/tmp', '--tmpfs', '/var/run/postgresql', '--cap-drop', 'ALL', ...add],
      ...['--security-opt', 'no-new-privileges', '--env', 'POSTGRES_PASSWORD=secret', IMAGE],
    );
    await answers(box, container, 'postgres');
    assert.equal(await box.users(container, 'postgres'), ['999']);
    await box.docker('restart', container);
    await answers(box, container, 'postgres');
    assert.is(await box.stop(container), 0);
  }));

test('bash, pg_dump, gzip and zstd are there for backups through docker exec', () =>
  inSandbox(IMAGE, async box => {
    const container = await box.start('dump', '--env', 'POSTGRES_PASSWORD=secret', IMAGE);
    await answers(box, container, 'postgres');
    const pipe = (program: string) =>
      box.docker(
        'exec',
        container,
        'bash',
        '-o',
        'pipefail',
        '-c',
        `pg_dump -U postgres | ${program} | ${program} -dc`,
      );
    assert.match(await pipe('gzip'), /PostgreSQL database dump complete/);
    assert.match(await pipe('zstd'), /PostgreSQL database dump complete/);
  }));

test.run();
