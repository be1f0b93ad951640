import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../../scripts/lib/config.ts';
import { until } from './world.ts';

/**
 * Runs a script on a terminal of its own, made by script(1), and types `answer` when it asks.
 * @returns its exit code and all that the terminal showed
 */
export async function onTerminal(
  script: string,
  args: string[],
  env: Record<string, string>,
  answer: string,
): Promise<{ code: number | null; shown: string }> {
  const command = [join(ROOT, `scripts/${script}.ts`), ...args].map(word => `'${word}'`).join(' ');
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: { ...env, TERM: 'xterm', SHELL: '/bin/sh' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let shown = '';
  child.stdout.on('data', (text: Buffer) => {
    shown += text;
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  await until('it asks', () => / to go on: /.test(shown) || child.exitCode !== null, 60);
  child.stdin.write(`${answer}\n`);
  return { code: await ended, shown };
}
