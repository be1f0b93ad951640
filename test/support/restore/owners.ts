/** Databases whose objects belong to many roles, and what a restore makes of them. */
import { hash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { fetchSource } from '../../../scripts/lib/backup/fetch.ts';
import { findSource } from '../../../scripts/lib/backup/find.ts';
import { artifactName, type Format, manifestName, serialize } from '../../../scripts/lib/backup/manifest.ts';
import { identifier, literal } from '../../../scripts/lib/postgres/client.ts';
import { requirementsOf } from '../../../scripts/lib/restore/dump-scan.ts';
import { DIRECTORIES } from '../../../scripts/lib/restore/leftovers.ts';
import { configOf, manifestOf, plant } from '../backup/old-backups.ts';
import { captured } from '../core/here.ts';
import { makeBackup, refused, restoreHere } from '../core/in-process.ts';
import type { World } from '../core/world.ts';
import { ask } from '../postgres/ask.ts';
import { contentOf, databases, program, propertiesOf } from '../postgres/compare.ts';

/** Names of roles that need their quotes; in the order of pg_dumpall: pg_dump names a policy's roles in that of their rows. */
export const NAMES = [
  'UPPER',
  'Own er',
  'Reader, "Role"',
  'роль',
  'user',
  'select',
  `x'y; DROP ROLE postgres; --`,
  'a TO b',
  'back\\slash',
  '-dash',
  '$1$',
  ' leading blank',
  'two\nlines',
  'ü'.repeat(31),
].sort();

/** Each name owns a table and has privileges on that of the next. */
export async function createMany(world: World): Promise<void> {
  const roles = NAMES.map(identifier);
  const attributes = [
    " WITH LOGIN BYPASSRLS CONNECTION LIMIT 3 VALID UNTIL '2099-01-01 00:00:00+00'",
    ' WITH NOINHERIT CREATEDB',
  ];
  await world.sql(`${roles.map((role, index) => `CREATE ROLE ${role}${attributes[index] ?? ''};`).join('\n')}
    ALTER ROLE ${roles[2]} SET search_path TO "a ""b", public;
    COMMENT ON ROLE ${roles[3]} IS 'it''s; a \\ comment';
    GRANT pg_read_all_data TO ${roles[0]};
    GRANT ${roles[7]} TO ${roles[8]} WITH ADMIN OPTION;
    GRANT ${roles[2]} TO ${roles[7]};
    GRANT SET ON PARAMETER log_min_duration_statement TO ${roles[5]};`);
  const tables = roles.map((role, index) => {
    const next = roles[(index + 1) % roles.length]!;
    return `CREATE TABLE t${index} AS SELECT ${index} AS i; ALTER TABLE t${index} OWNER TO ${role};
      GRANT SELECT ON t${index} TO ${next} WITH GRANT OPTION;
      SET ROLE ${next}; GRANT SELECT (i) ON t${index} TO ${roles[(index + 2) % roles.length]}; RESET ROLE;
      CREATE POLICY p${index} ON t${index} TO ${role}, ${next} USING (i <> ';'::text::"char"::int);
      ALTER DEFAULT PRIVILEGES FOR ROLE ${role} GRANT SELECT ON TABLES TO ${next};
      SELECT lo_create(${9000 + index}); ALTER LARGE OBJECT ${9000 + index} OWNER TO ${role};`;
  });
  await world.sql(`${tables.join('\n')}
    CREATE FUNCTION read_secrets() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1';
    REVOKE EXECUTE ON FUNCTION read_secrets() FROM PUBLIC;
    CREATE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END; $$;
    CREATE EVENT TRIGGER noted ON ddl_command_end EXECUTE FUNCTION noted();
    CREATE PUBLICATION every FOR ALL TABLES;
    CREATE STATISTICS s ON i, (i + 1) FROM t0; ALTER STATISTICS s OWNER TO ${roles[0]};
    COMMENT ON TABLE t0 IS 'a comment';
    ALTER DATABASE app OWNER TO ${roles[1]};
    ALTER ROLE ${roles[2]} IN DATABASE app SET work_mem TO '8MB';
    GRANT CREATE ON DATABASE app TO ${roles[3]} WITH GRANT OPTION;
    SET ROLE ${roles[3]}; GRANT CREATE ON DATABASE app TO ${roles[4]}; RESET ROLE`);
}

/** All that a superuser sees of roles. */
export const rolesOf = (world: World) =>
  world.rows(
    `SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
      rolconnlimit, rolvaliduntil, rolconfig, shobj_description(oid, 'pg_authid') AS comment,
      (SELECT json_agg(json_build_array(pg_get_userbyid(roleid), admin_option) ORDER BY roleid::regrole::text)
        FROM pg_auth_members WHERE member = r.oid) AS member_of,
      (SELECT json_agg(parname) FROM pg_parameter_acl, aclexplode(paracl) WHERE grantee = r.oid) AS parameters
    FROM pg_roles r WHERE rolname !~ '^pg_' ORDER BY rolname COLLATE "C"`,
    'postgres',
  );

/** Leaves the server as if it had never had these databases and roles. */
export async function dropEvery(world: World, databases: string[], roles: string[]): Promise<void> {
  const parameters = await world.rows<{ name: string; role: string }>(
    `SELECT parname AS name, pg_get_userbyid(grantee) AS role FROM pg_parameter_acl, aclexplode(paracl)
     WHERE pg_get_userbyid(grantee) IN (${roles.map(literal).join(', ')})`,
    'postgres',
  );
  await ask(
    world.pg.postgres,
    'postgres',
    ...databases.map(name => `DROP DATABASE ${identifier(name)} WITH (FORCE)`),
    ...parameters.map(({ name, role }) => `REVOKE ALL ON PARAMETER ${name} FROM ${identifier(role)}`),
    ...roles.map(role => `DROP ROLE ${identifier(role)}`),
  );
}

/** A server without the roles, and one that has them: all comes back in each format. */
export async function manyRoles(world: World, formats: Format[]): Promise<void> {
  try {
    await createMany(world);
    await comesBack(world, formats);
  } finally {
    await world.sql(`DROP OWNED BY ${identifier(NAMES[5]!)}`, 'postgres').catch(() => {}); // its privileges on a setting
  }
}

async function comesBack(world: World, formats: Format[]): Promise<void> {
  const look = async () => {
    const { rights, ...content } = await contentOf(world);
    return { roles: await rolesOf(world), properties: await propertiesOf(world), rights, content };
  };
  const before = await look();
  for (const format of formats) {
    const { id, needs } = await makeBackup(world, { format, upload: false });
    assert.equal(needs!.roles.map(({ name }) => name).sort(), [...NAMES, 'postgres'].sort());
    // What the manifest says is what the statements of the dump say.
    const config = configOf(world, {});
    const source = await fetchSource(await findSource(config, id, 'local'), DIRECTORIES.environment(config));
    const read = await requirementsOf(config.postgres, {
      ...source,
      manifest: { ...source.manifest!, needs: undefined },
    });
    assert.equal(read.roles.map(({ name }) => name).sort(), [...NAMES, 'postgres'].sort());
    for (const use of ['owner', 'policy', 'defaults', 'grantor'] as const) {
      const having = (roles: typeof read.roles) =>
        roles
          .filter(({ uses }) => uses.includes(use))
          .map(({ name }) => name)
          .sort();
      assert.equal(having(read.roles), having(needs!.roles), use);
    }
    assert.equal(read.superuser.sort(), ['event trigger noted', 'publication every']);
    await dropEvery(world, ['app'], NAMES);
    await restoreHere(world, id);
    const after = await look();
    for (const part of ['roles', 'properties', 'rights', 'content'] as const)
      assert.equal(after[part], before[part], `${part}, ${format}`);
  }
}

/** Asserts that an attempt makes and drops no database and no backup. */
export async function unchanged(world: World, attempt: () => Promise<unknown>): Promise<void> {
  const look = async () => [
    await databases(world),
    readdirSync(world.directory, { recursive: true }).filter(name => /\.(gz|zst|json)$/.test(String(name))),
  ];
  const before = await look();
  await attempt();
  assert.equal(await look(), before, 'nothing was changed');
}

export async function ownerOf(world: World, table: string, database?: string): Promise<string | undefined> {
  const sql = `SELECT tableowner AS owner FROM pg_tables WHERE tablename = ${literal(table)}`;
  return (await world.rows<{ owner: string }>(sql, database))[0]?.owner;
}

/** How backups were dumped before they had owners and privileges. An archive holds owners whatever pg_dump is told. */
const OLDER: Record<Format, string> = {
  plain: 'pg_dump --no-owner --no-acl app | gzip > "$0"',
  custom: 'pg_dump -Fc -Z0 --no-owner --no-acl app | zstd -qf -o "$0"',
};

/** Backups without privileges and without a list of what they need. */
export async function olderBackups(world: World, formats: Format[]): Promise<void> {
  for (const format of formats) {
    await world.sql(`CREATE ROLE watcher; CREATE ROLE writer; CREATE TABLE t (); ALTER TABLE t OWNER TO writer;
      ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t TO watcher USING (true); GRANT SELECT ON t TO watcher`);
    const { id } = await makeBackup(world, { format, upload: false });
    const directory = world.env.BACKUP_DIR!;
    const file = join(directory, artifactName(id, format));
    await program(world, 'bash', '-c', OLDER[format], file);
    const { needs: _, ...rest } = await manifestOf(directory, id);
    const artifact = {
      ...rest.artifact,
      bytes: statSync(file).size,
      sha256: hash('sha256', readFileSync(file)),
    };
    writeFileSync(join(directory, manifestName(id)), serialize({ ...rest, artifact }));
    await world.sql('DROP TABLE t; DROP ROLE watcher; DROP ROLE writer');
    const { stderr, error } = await captured(() => restoreHere(world, id, { database: 'other' }));
    assert.is(error, '');
    assert.match(stderr, format === 'plain' ? /has no owners and no privileges/ : /has no privileges/);
    assert.match(stderr, /created "watcher", "writer" without passwords/);
    assert.is(await ownerOf(world, 't', 'other'), format === 'plain' ? 'postgres' : 'writer');
    for (const statement of ['DROP DATABASE other', 'DROP ROLE watcher', 'DROP ROLE writer'])
      await world.sql(statement, 'postgres');
  }
}

/**
 * Plain dumps without a manifest, with what looks like statements about owners in values and functions.
 * @param dumps options of pg_dump
 * @param whole also with its owners
 */
export async function foreignDumps(world: World, dumps: string[], whole: boolean): Promise<void> {
  const file = join(world.directory, 'foreign.sql.gz');
  await world.sql(`CREATE ROLE "Stran ger"; CREATE TABLE t (line text); ALTER TABLE t OWNER TO "Stran ger";
    INSERT INTO t VALUES (E'x\\nALTER TABLE t OWNER TO evil;\\nGRANT ALL ON t TO evil;');
    CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN
GRANT SELECT ON t TO nobody_here;
ALTER TABLE t OWNER TO nobody_here;
END $f$;
    GRANT SELECT ON t TO PUBLIC; COMMENT ON TABLE t IS E'\\nREVOKE ALL ON t FROM evil;\\n'`);
  const before = await contentOf(world);
  for (const options of dumps) {
    await program(world, 'bash', '-c', `pg_dump app ${options} | gzip > "$0"`, file);
    await world.sql('ALTER TABLE t OWNER TO postgres; DROP ROLE "Stran ger"');
    await unchanged(world, async () => {
      const text = await refused(
        () => restoreHere(world, file),
        1,
        /role "Stran ger" is missing/,
        /--no-owners/,
      );
      assert.ok(text.includes('CREATE ROLE "Stran ger";'), text);
      assert.not.match(text, /evil|nobody_here/);
    });
    await restoreHere(world, file, { 'no-owners': true, database: 'without' });
    const { rights, ...content } = await contentOf(world, 'without');
    const { rights: _, ...expected } = before;
    assert.equal(content, expected);
    assert.ok(rights.objects.every(({ owner }) => ['postgres', 'pg_database_owner'].includes(owner)));
    await world.sql('DROP DATABASE without', 'postgres');
    if (!whole) continue;
    await world.sql('CREATE ROLE "Stran ger"; ALTER TABLE t OWNER TO "Stran ger"');
    await restoreHere(world, file, { database: 'whole' });
    assert.equal(await contentOf(world, 'whole'), before, options);
    await world.sql('DROP DATABASE whole', 'postgres');
  }
}

/**
 * Says at once all that a server lacks, and changes nothing. There is a tablespace `fast disk`, which is dropped.
 * @returns the id of a backup that needs only the tablespace and a role which its globals have
 */
export async function lacksAllAtOnce(world: World): Promise<string> {
  await world.sql(`CREATE ROLE leaver; CREATE TABLE t (x text COLLATE "de-x-icu") TABLESPACE "fast disk";
    ALTER TABLE t OWNER TO leaver; INSERT INTO t VALUES ('x')`);
  const { id, needs, extensions } = await makeBackup(world);
  assert.equal([needs!.tablespaces, needs!.collations], [['fast disk'], ['de-x-icu']]);
  await world.sql('DROP TABLE t; DROP ROLE leaver');
  await world.sql('DROP TABLESPACE "fast disk"', 'postgres');

  const directory = world.env.BACKUP_DIR!;
  const lacking = await plant(directory, id, {
    days: 1,
    manifest: {
      extensions: [...extensions, { name: 'no_such_extension', version: '3' }],
      needs: {
        ...needs!,
        collations: ['xx-x-icu'],
        roles: [...needs!.roles, { name: 'no one', uses: ['owner'], cannotCreateIn: [] }],
      },
    },
  });
  await unchanged(world, async () => {
    const text = await refused(
      () => restoreHere(world, lacking.id),
      1,
      /4 problems found; nothing was changed/,
    );
    for (const part of [
      'role "no one" is missing',
      'CREATE ROLE "no one";',
      'extensions are not installed on this server: no_such_extension',
      'tablespaces are missing on this server: fast disk',
      `CREATE TABLESPACE "fast disk" OWNER postgres LOCATION`,
      'collations are missing on this server: xx-x-icu',
    ])
      assert.ok(text.includes(part), `${part}\n${text}`);
    await refused(() => restoreHere(world, id), 1, /tablespaces are missing/, /--no-tablespaces/);
  });
  return id;
}
