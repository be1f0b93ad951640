import { availableParallelism } from 'node:os';
import type { Source } from '../backup/source.ts';
import type { Postgres } from '../config/config.ts';
import type { LoadSize } from '../postgres/load-space.ts';

const MIB = 1024 * 1024;

/** MiB of maintenance_work_mem, shared by all connections of one load. */
const LOAD_MEMORY = 1024;
const GENTLE_MEMORY = 128;

/** @returns how many connections load and analyze at once: one for each processor, or one where visitors come first */
export function connectionsOf({ gentle }: Postgres): number {
  return gentle ? 1 : availableParallelism();
}

/** MiB of maintenance_work_mem that each of so many connections gets. */
export function memoryOf({ gentle }: Postgres, connections: number): number {
  return Math.floor((gentle ? GENTLE_MEMORY : LOAD_MEMORY) / connections);
}

/** @returns what a load of this source is, at most, with all connections that it may have */
export function loadSizeOf(postgres: Postgres, { manifest, format }: Source): LoadSize {
  const connections = format === 'custom' ? connectionsOf(postgres) : 1;
  return {
    database: manifest?.databaseBytes ?? 0,
    largestIndex: manifest?.largestIndexBytes,
    connections,
    memory: memoryOf(postgres, connections) * MIB,
  };
}
