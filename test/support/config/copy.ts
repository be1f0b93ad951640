/** The scripts in another place, with env files of a test's own. */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import { executeHere } from '../cli/execute-here.ts';
import { type Ended, type Started, startProgram } from '../core/world.ts';

export interface Copy {
  directory: string;
  /** Replaces both files of production; undefined: the file is not there. */
  write(env: string | undefined, app?: string): void;
  /** The texts of both files; undefined: there is none. */
  read(): (string | undefined)[];
  start(script: string, args: string[], env?: Record<string, string>): Started;
  run(script: string, args: string[], env?: Record<string, string>): Promise<Ended>;
  /** The same in this process, see {@link executeHere}. */
  here(script: string, args: string[], env?: Record<string, string>): Promise<Ended>;
  remove(): void;
}

/** @param more names of further files */
export function copyScripts(...more: string[]): Copy {
  const directory = mkdtempSync(join(tmpdir(), 'copy-'));
  for (const name of ['scripts', 'nginx', 'package.json', '.env.example', '.env.app.example', ...more])
    cpSync(join(ROOT, name), join(directory, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  const files = ['.env.production', '.env.production.app'].map(name => join(directory, name));
  const { PATH, HOME } = process.env as { PATH: string; HOME: string };
  const start: Copy['start'] = (script, args, env = {}) => {
    const path = join(directory, `scripts/${script}.ts`);
    return startProgram(path, args, { PATH, HOME, ...env }, { cwd: directory });
  };
  return {
    directory,
    write: (...texts) => {
      for (const [index, path] of files.entries()) {
        rmSync(path, { force: true });
        if (texts[index] !== undefined) writeFileSync(path, texts[index], { mode: 0o600 });
      }
    },
    read: () =>
      files.map(path => {
        try {
          return readFileSync(path, 'utf8');
        } catch {
          return undefined;
        }
      }),
    start,
    run: (...args) => start(...args).ended,
    here: (script, args, env = {}) =>
      executeHere(script, args, { PATH, HOME, ...env }, { cwd: directory, root: directory }),
    remove: () => rmSync(directory, { recursive: true }),
  };
}
