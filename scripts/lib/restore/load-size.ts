import { availableParallelism } from 'node:os';
import type { Source } from '../backup/source.ts';
import type { LoadSize } from '../postgres/load-space.ts';

const MIB = 1024 * 1024;

/** MiB of maintenance_work_mem, shared by all connections of one load. */
const LOAD_MEMORY = 1024;

/** MiB of maintenance_work_mem that each of so many connections gets. */
export function memoryOf(connections: number): number {
  return Math.floor(LOAD_MEMORY / connections);
}

/** @returns what a load of this source is, at most, with all connections that it may have */
export function sizeOf({ manifest, format }: Source): LoadSize {
  const connections = format === 'custom' ? availableParallelism() : 1;
  return {
    database: manifest?.databaseBytes ?? 0,
    largestIndex: manifest?.largestIndexBytes,
    connections,
    memory: memoryOf(connections) * MIB,
  };
}
