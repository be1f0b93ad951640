/** Code in a database or a dump that tries to do more than a load is for. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { type Manifest, manifestName, serialize } from '../../../scripts/lib/backup/manifest.ts';
import { literal } from '../../../scripts/lib/postgres/client.ts';
import type { World } from '../core/world.ts';
import { databases, program } from '../postgres/compare.ts';

/** What a superuser may do and a load must not, in a function; what fails is ignored. */
const attempts = (trace: string) => [
  `format('COPY (SELECT 1) TO PROGRAM %L', 'touch ${trace}.' || place)`,
  `'ALTER ROLE attacker SUPERUSER'`,
  `'ALTER ROLE ' || quote_ident(current_user) || ' SUPERUSER'`,
  `'CREATE ROLE made SUPERUSER'`,
  `'GRANT pg_execute_server_program TO attacker'`,
  `'ALTER ROLE attacker IN DATABASE app SET search_path TO evil'`,
  `'ALTER DATABASE app SET work_mem TO ''1MB'''`,
  `'RESET SESSION AUTHORIZATION'`,
  `'SET SESSION AUTHORIZATION postgres'`,
  `'SET ROLE postgres'`,
];

/**
 * A database with rows whose check, generated column, indexes, materialized view, trigger and statistics run a function
 * of an application's role in any copy of the database, and not in this one.
 */
export function hostileSchema(world: World): string {
  const tried = attempts(join(world.directory, 'trace')).map(
    statement => `BEGIN EXECUTE ${statement}; EXCEPTION WHEN OTHERS THEN NULL; END;`,
  );
  return `CREATE ROLE attacker; GRANT CREATE ON SCHEMA public TO attacker; SET ROLE attacker;
    CREATE FUNCTION try(place text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
      IF current_database() ~ '^app_(new|drill)_' THEN
        ${tried.join('\n')}
      END IF;
      RETURN 1;
    END $$;
    CREATE FUNCTION evil(place text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.try(place); END $$;
    CREATE TABLE victims (i int CHECK (evil('check') = 1), j int GENERATED ALWAYS AS (i + evil('generated')) STORED);
    CREATE INDEX ON victims ((i + evil('index')));
    CREATE INDEX ON victims ((i + evil(i::text || 'row')));
    CREATE INDEX ON victims (i) WHERE evil('predicate') = 1;
    CREATE STATISTICS seen ON (i + evil(i::text || 'statistics')), j FROM victims;
    CREATE MATERIALIZED VIEW looked AS SELECT evil('view') AS i;
    INSERT INTO victims SELECT generate_series(1, 5);
    RESET ROLE; ALTER TABLE victims OWNER TO postgres; ALTER FUNCTION evil OWNER TO postgres; ALTER FUNCTION try OWNER TO postgres`;
}

/** Asserts that the server is as it was. @returns what looks again */
export async function untouched(world: World): Promise<() => Promise<void>> {
  const look = async () => ({
    databases: (await databases(world)).filter(name => !/_before_|^other$/.test(name)),
    roles: await world.rows(
      `SELECT rolname, rolsuper, rolcreaterole, rolconfig, ARRAY(SELECT pg_get_userbyid(roleid)::text FROM pg_auth_members
        WHERE member = r.oid) AS groups FROM pg_roles r WHERE rolname !~ '^pg_' ORDER BY rolname`,
      'postgres',
    ),
    privileges: await world.rows(
      `SELECT coalesce(datacl, acldefault('d', datdba)) AS acl FROM pg_database WHERE datname = 'app'`,
      'postgres',
    ),
    settings: await world.rows('SELECT setdatabase::int, setconfig FROM pg_db_role_setting', 'postgres'),
    auto: await world.rows(`SELECT name FROM pg_file_settings WHERE sourcefile ~ 'auto.conf$'`, 'postgres'),
  });
  const before = await look();
  return async () => {
    assert.equal(await look(), before);
    const traces = readdirSync(world.directory).filter(name => name.startsWith('trace'));
    assert.equal(traces, [], 'no program was run');
  };
}

/** Statements of a dump by hand; each of them, by itself, has to fail. */
export const forbidden = (world: World): [statement: string, says: RegExp | undefined][] => {
  const trace = literal(`touch ${join(world.directory, 'trace')}`);
  return [
    ['DROP DATABASE app;', /must be owner of database app/],
    ['ALTER DATABASE app RENAME TO gone;', /must be owner of database app/],
    [`ALTER SYSTEM SET work_mem = '1MB';`, /permission denied to set parameter/],
    [`COPY precious FROM PROGRAM ${trace};`, /permission denied to COPY|must be superuser/],
    [
      `COPY precious TO ${literal(join(world.directory, 'trace'))};`,
      /must be superuser|permission denied to COPY/,
    ],
    [
      `INSERT INTO precious SELECT length(pg_read_file('/etc/passwd'));`,
      /permission denied for function pg_read_file/,
    ],
    [`SELECT lo_import('/etc/passwd');`, /permission denied for function lo_import/],
    ['SET ROLE postgres;', /permission denied to set role "postgres"/],
    ['SET SESSION AUTHORIZATION postgres;', /permission denied to set session authorization/],
    [
      `RESET SESSION AUTHORIZATION; RESET ROLE; DO $$ BEGIN EXECUTE 'ALTER ROLE attacker SUPERUSER'; END $$;`,
      /must be superuser|permission denied to alter role/,
    ],
    ['GRANT pg_execute_server_program TO attacker;', /must (be|have)|permission denied to grant role/],
    // Only a warning: no privileges are granted.
    ['GRANT CREATE ON DATABASE app TO attacker;', undefined],
    ['CREATE ROLE made SUPERUSER;', /must be superuser|permission denied to create role/],
    // What only looks like a statement that a superuser runs afterwards.
    ['ALTER TABLE precious ALTER i TYPE int USING 1 / 0, OWNER TO postgres;', undefined],
    ['ALTER ROLE attacker SUPERUSER;', /must be superuser|permission denied/],
    ['GRANT SELECT ON pg_catalog.pg_authid TO attacker; DROP DATABASE app;', /must be owner of database app/],
    [`COMMENT ON EXTENSION plpgsql IS 'x'; DROP DATABASE app;`, /must be owner of database app/],
    ['ALTER TABLE precious OWNER TO postgres; DROP DATABASE app;', /must be owner of database app/],
  ];
};

/** Changes statements in the table of contents of a custom backup, whose texts have their length before them. */
export async function forgeCustom(
  world: World,
  manifest: Manifest,
  changes: [from: string, to: string][],
): Promise<Manifest> {
  const at = (name: string) => join(world.env.BACKUP_DIR!, name);
  const { name } = manifest.artifact;
  const raw = `${at(name)}.raw`;
  await program(world, 'zstd', '-qdf', at(name), '-o', raw);
  const content = readFileSync(raw);
  for (const [from, to] of changes) {
    const position = content.indexOf(from);
    assert.ok(position >= 0 && to.length <= from.length, from);
    content.write(to.padEnd(from.length), position);
  }
  writeFileSync(raw, content);
  await program(world, 'zstd', '-qf', '--rm', raw, '-o', at(name));
  const bytes = readFileSync(at(name));
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const forged = { ...manifest, artifact: { name, bytes: bytes.length, sha256 } };
  writeFileSync(at(manifestName(manifest.id)), serialize(forged));
  assert.not.ok(existsSync(raw));
  return forged;
}
