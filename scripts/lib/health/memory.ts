import { readFile } from 'node:fs/promises';
import { bytes } from '../text.ts';
import { type Check, grade } from './result.ts';

const AVAILABLE = { warning: 20, critical: 10 };

/** What programs can still get without swapping, by the kernel's own estimate. */
export const memory = (): Check => ({
  name: 'memory',
  run: async () => {
    const text = await readFile('/proc/meminfo', 'utf8');
    const kib = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1]);
    const [available, total] = [kib('MemAvailable') * 1024, kib('MemTotal') * 1024];
    const value = Math.floor((available / total) * 100);
    const message = `${value} % available: ${bytes(available)} of ${bytes(total)}`;
    return { status: grade(value, AVAILABLE), message, value, unit: '%', thresholds: AVAILABLE };
  },
});
