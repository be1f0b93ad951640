import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { plural } from '../core/format.ts';
import { sh } from '../core/shell.ts';
import { fileDifferences, installFiles, SOURCE } from './installed-files.ts';
import type { StepOf } from './step.ts';

const FILE = 'etc/sysctl.d/60-server.conf';

/** The kernel's settings. */
export const sysctl: StepOf = () => ({
  name: 'sysctl',
  gives: 'kernel settings for Redis, PostgreSQL and many connections',
  async look() {
    const wanted = settingsOf(readFileSync(join(SOURCE, FILE), 'utf8'));
    const differences = wanted.flatMap(({ name, value, optional }) => {
      const path = join('/proc/sys', name.replaceAll('.', '/'));
      if (!existsSync(path)) return optional ? [] : [`the kernel has no ${name}`];
      const is = readFileSync(path, 'utf8').trim();
      return is === value ? [] : [`${name} is ${is}, not ${value}`];
    });
    return {
      found: plural(wanted.length, 'kernel setting'),
      differences: [...fileDifferences([FILE]), ...differences],
    };
  },
  async mend() {
    const done = await installFiles([FILE]);
    await sh('set the kernel’s settings')`systemctl restart systemd-sysctl.service`;
    return [...done, 'set the kernel’s settings'];
  },
});

/** @returns the settings of a file of sysctl.d; `optional` where the kernel may have none of this name */
export function settingsOf(text: string): { name: string; value: string; optional: boolean }[] {
  return [...text.matchAll(/^(-?)([a-z][\w./-]*) *= *(.*?) *$/gm)].map(([, sign, name, value]) => ({
    name: name!,
    value: value!,
    optional: sign === '-',
  }));
}
