/** Hard schemas as an owner who is no superuser: all comes back that such a user can create, and what can't is said before. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeBackup, refused, restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import {
  comesBack,
  createOwner,
  createRoles,
  dropAll,
  OWNER,
  runScript,
  SCHEMAS,
  statementsOf,
} from '../../support/postgres/schemas.ts';
import { unchanged } from '../../support/restore/owners.ts';

const { POSTGRES_USER: owner } = OWNER;
const servers = await createTurns();
const bareServers = await createTurns();

for (const schema of SCHEMAS) {
  test(`${schema}: the owner's part comes back`, () =>
    servers.inTurn(here =>
      bareServers.inTurn(async bare => {
        for (const world of [here, bare]) {
          await createOwner(world);
          Object.assign(world.env, OWNER);
        }
        await createRoles(here, owner);
        await here.sql(`ALTER DATABASE app OWNER TO ${owner}`, 'postgres');
        await runScript(here, statementsOf(schema, 'owner'), owner);
        try {
          await comesBack({ here, bare }, ['plain', 'custom']);
        } finally {
          for (const world of [here, bare]) await dropAll(world);
        }
      }),
    ));
}

/** What a superuser has to restore of each schema, as the manifest and the refusal name it. */
const SUPERUSERS: Record<string, string[]> = {
  foreign: [
    'foreign-data wrapper "No handler"',
    'privileges of foreign-data wrapper file_fdw',
    'privileges of function ext.citext_hash(ext.citext)',
    'privileges of function ext.digest(pg_catalog.text,pg_catalog.text)',
    'privileges of type ext.ltree',
    'user mapping of "Writ er" without a password',
  ],
  functions: [
    'function public."in C"(integer,integer) in internal',
    'function public.of_library(text,text) in c',
    'function public.sets_superuser() with its settings',
    'function public.with_support(integer) with a support function',
  ],
  operators: [
    'access method "Tree 2"',
    'access method heap2',
    'aggregate public.internal_state(numeric) with an internal state',
    'cast (public.raw AS pg_catalog.text)',
    'function public.leak(integer,integer) in internal',
    'function public.pl_from(internal) in internal',
    'function public.pl_to(internal) in internal',
    'function public.raw_in(cstring) in internal',
    'function public.raw_out(public.raw) in internal',
    'function public.trf(internal) in internal',
    'operator class ops.points USING gist',
    'operator class public."Whole numbers" USING hash',
    'operator class public.by_a USING btree',
    'operator family ops.across USING gist',
    'operator family public."Whole numbers" USING hash',
    'operator family public.pairs USING btree',
    'text search parser public.own_parser',
    'text search template public.own_template',
    'type public.raw',
  ],
  replication: [
    'event trigger "Not ed"',
    'event trigger "al ways"',
    'event trigger off',
    'event trigger on_replica',
    'event trigger start_only',
    'publication both_kinds (of all tables, or of schemas)',
    'publication everything (of all tables, or of schemas)',
    'publication nothing of "Writ er"',
    'publication of_schemas (of all tables, or of schemas)',
    'subscription "sub ""x"""',
    'subscription no_slot',
  ],
  rights: [
    'privileges of function pg_catalog.pg_ls_waldir()',
    'privileges of function pg_catalog.pg_sleep(double precision)',
    'privileges of language plpgsql',
    'privileges of table column pg_catalog.pg_authid.rolname',
    'privileges of table pg_catalog.pg_authid',
    'privileges of view pg_catalog.pg_roles',
  ],
  types: ['type public.unfinished'],
};

for (const [schema, names] of Object.entries(SUPERUSERS)) {
  test(`${schema}: what only a superuser restores is said before anything changes`, () =>
    servers.inTurn(async world => {
      await createOwner(world);
      await createRoles(world, owner);
      await world.sql(`ALTER DATABASE app OWNER TO ${owner}`, 'postgres');
      for (const part of ['owner', 'superuser'] as const) await runScript(world, statementsOf(schema, part));
      try {
        const { id, needs } = await makeBackup(world); // the superuser's, as of a scheduled job
        assert.equal(needs!.superuser.toSorted(), names.toSorted());
        await unchanged(world, async () => {
          const text = await refused(() => restoreHere(world, id, {}, OWNER), 1);
          for (const name of names) assert.ok(text.includes(name), `${name}\n${text}`);
        });
      } finally {
        await dropAll(world);
      }
    }));
}

test('the servers stop', async () => {
  await Promise.all([servers.stop(), bareServers.stop()]);
});

test.run();
