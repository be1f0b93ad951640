import { execFileSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { client } from '../../scripts/lib/postgres/client.ts';
import { NOT_INHERITED } from '../../scripts/lib/postgres/settings.ts';

const FOREIGN = Object.fromEntries(NOT_INHERITED.map(name => [name, 'foreign']));
const TLS = { PGSSLMODE: 'require', PGSSLROOTCERT: '/etc/ssl/ca.pem', PGPASSFILE: '/root/.pgpass' };
const POSTGRES = { user: 'u', password: 'p', database: 'd' };

/** @returns the environment of a program that is started so, where the machine has one of its own */
function environmentOf(argv: string[], env: Record<string, string | undefined>, own: Record<string, string>) {
  const [program, ...args] = argv as [string, ...string[]];
  const { PATH } = process.env;
  const text = execFileSync(program, args, { env: { PATH, ...own, ...env }, encoding: 'utf8' });
  return Object.fromEntries(
    text
      .trim()
      .split('\n')
      .map(line => line.split(/=(.*)/s)),
  );
}

test('on this host a program has the scripts’ environment, and of its own what TLS and logins need', () => {
  const { argv, env } = client({ ...POSTGRES, host: 'h', port: 1 }, ['env']);
  const found = environmentOf(argv, env, { ...FOREIGN, ...TLS, PGHOST: 'foreign', LC_ALL: 'de_DE.UTF-8' });
  for (const name of NOT_INHERITED) assert.is(found[name], undefined, name);
  for (const [name, value] of Object.entries(TLS)) assert.is(found[name], value);
  assert.equal([found.PGHOST, found.PGPORT, found.PGUSER, found.LC_ALL], ['h', '1', 'u', 'C']);
});

test('in a container, too, whatever the container has', () => {
  const { argv, env } = client({ ...POSTGRES, container: 'c' }, ['env']);
  const inside = argv.indexOf('c') + 1;
  const passed = argv.slice(0, inside).flatMap((word, i) => (word === '-e' ? [argv[i + 1]!] : []));
  assert.equal(passed.sort(), Object.keys(env).sort());
  const found = environmentOf(argv.slice(inside), env, { ...FOREIGN, PGHOST: 'foreign', PGPORT: '1' });
  for (const name of [...NOT_INHERITED, 'PGHOST', 'PGPORT']) assert.is(found[name], undefined, name);
  assert.equal([found.PGUSER, found.PGPASSWORD, found.LC_ALL], ['u', 'p', 'C']);
});

test('a check can leave a setting as the server has it', () => {
  const options = (inherit: string[]) =>
    client(POSTGRES, ['psql'], '-c work_mem=1MB', inherit).env.PGOPTIONS!;
  assert.match(options([]), / -c default_transaction_read_only=off .* -c work_mem=1MB$/);
  assert.match(options([]), ' -c search_path="$user",\\ public ');
  assert.not.match(options(['default_transaction_read_only']), 'read_only');
});

test.run();
