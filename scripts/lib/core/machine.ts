import { readFile } from 'node:fs/promises';

/** @returns this machine's memory in bytes: all of it, and what programs can still get without swapping, by the kernel's own estimate */
export async function readMemory(): Promise<{ available: number; total: number }> {
  const text = await readFile('/proc/meminfo', 'utf8');
  const of = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1]) * 1024;
  return { available: of('MemAvailable'), total: of('MemTotal') };
}
