/**
 * The databases of a server as a rollback sees them, as values in this process: their numbers, their names, and from which
 * release their data is. That the product's queries say the same of a real server is what test/stack/deploy-back.test.ts is for.
 */

export interface DatabaseModel {
  /** By number. */
  databases: Map<number, { name: string; data: string }>;
  /** @returns the data of the live database */
  live(): string | undefined;
  /** What the product asks and changes, by file; `step` is called at each change. */
  standIns(step: <T>(name: string, act: () => T) => Promise<T>): Record<string, Record<string, unknown>>;
}

/** @param live the name of the live database, which has the data `before`; each restore brings the data `backup` */
export function databaseModel(live: string, before: string, backup: string): DatabaseModel {
  const databases = new Map([[16_384, { name: live, data: before }]]);
  let next = 20_000;
  const named = (wanted: string) => [...databases].find(([, { name }]) => name === wanted);
  const siblings = (kind: string) =>
    [...databases.values()].map(({ name }) => name).filter(name => name.startsWith(`${live}_${kind}_`));
  const nameOf = (kind: string) => `${live}_${kind}_${next++}`;
  /** In one transaction. */
  const swap = (copy: string, kept: string | undefined) => {
    const [old, joining] = [named(live)?.[1], named(copy)?.[1]];
    if (!joining || (old && !kept)) throw new Error(`${copy} can't be swapped in`);
    if (old) old.name = kept!;
    joining.name = live;
  };
  return {
    databases,
    live: () => named(live)?.[1].data,
    standIns(step) {
      const drop = async () => {
        for (const name of siblings('new'))
          await step(`drop ${name.replace(/\d+$/, '')}`, () => databases.delete(named(name)![0]));
        return [];
      };
      return {
        'lib/postgres/databases.ts': {
          oidOf: async (_: unknown, name: string) => named(name)?.[0],
          databaseOf: async (_: unknown, oid: number) => databases.get(oid)?.name,
          siblingDatabases: async (_: unknown, kind: string) => siblings(kind),
          siblingName: (_: string, kind: string) => nameOf(kind),
        },
        'lib/restore/run-restore.ts': {
          runRestore: async () => {
            await drop();
            const copy = nameOf('new');
            await step('load', () => databases.set(next++, { name: copy, data: backup }));
            try {
              await step('swap', () => swap(copy, named(live) && nameOf('before')));
            } catch (error) {
              databases.delete(named(copy)![0]);
              throw error;
            }
            return { text: 'restored' };
          },
        },
        'lib/restore/replication.ts': {
          replaceLive: async (_: unknown, copy: string, kept: string | undefined) => {
            await step('swap back', () => swap(copy, kept));
            return [];
          },
        },
        'lib/restore/swap.ts': { dropLeftovers: drop },
      };
    },
  };
}
