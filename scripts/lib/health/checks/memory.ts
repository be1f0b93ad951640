import { bytes } from '../../core/format.ts';
import { readMemory } from '../../core/machine.ts';
import { type Check, grade } from '../check.ts';

const AVAILABLE = { warning: 20, critical: 10 };

export const memory = (): Check => ({
  name: 'memory',
  run: async () => {
    const { available, total } = await readMemory();
    const value = Math.floor((available / total) * 100);
    const message = `${value} % available: ${bytes(available)} of ${bytes(total)}`;
    return { status: grade(value, AVAILABLE), message, value, unit: '%', thresholds: AVAILABLE };
  },
});
