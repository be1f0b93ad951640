/** How much of the server a load takes. */
import { availableParallelism } from 'node:os';
import type { Postgres } from '../config/config.ts';

/** @returns how many connections load and analyze at once: one for each processor, or one where visitors come first */
export function loadConnections({ gentle }: Postgres): number {
  return gentle ? 1 : availableParallelism();
}

/** @returns MiB of maintenance_work_mem, shared by all connections of one load */
export function loadMemory({ gentle }: Postgres): number {
  return gentle ? 128 : 1024;
}
