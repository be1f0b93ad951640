/** Child processes for the test machinery: run to the end, or hold a lock while something runs. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';

/** What a child process left: its exit code (127 when it could not start) and what it printed. */
export interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

interface Options {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Milliseconds until the child is killed; 10 minutes unless told. */
  timeout?: number;
  /** A file descriptor to read standard input from; none unless told. */
  stdin?: number;
}

/** Runs a command to its end, whatever that is. Meant for small output: all of it is kept in memory. */
export function attempt(command: string, args: string[], options: Options = {}): Promise<Result> {
  const { env = process.env, cwd, timeout = 600_000, stdin } = options;
  return new Promise(resolve => {
    const child = spawn(command, args, { env, cwd, stdio: [stdin ?? 'ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', text => {
      stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', text => {
      stderr += text;
    });
    // Not spawn's own timeout: that goes on after a child that could not start, and keeps this process alive.
    const timer = setTimeout(() => {
      stderr += `\nended after ${timeout} ms`;
      child.kill('SIGKILL');
    }, timeout);
    const settle = (code: number) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    };
    child.once('error', error => {
      stderr += error.message;
      settle(127);
    });
    child.once('close', code => settle(code ?? 128));
  });
}

/** Runs a command that has to succeed, and gives its standard output without the last line break. */
export async function run(command: string, args: string[], options: Options = {}): Promise<string> {
  const { code, stdout, stderr } = await attempt(command, args, options);
  if (code === 0) return stdout.trimEnd();
  const said = (stderr.trim() || stdout.trim()).split('\n').slice(-15).join('\n');
  throw new Error(`${command} ${args.slice(0, 6).join(' ')} … exited ${code}:\n${said}`);
}

/**
 * Runs `work` while no other process holds the same lock, and waits up to 15 minutes for its turn. The lock
 * belongs to the open file of this process, so the kernel frees it however the process ends.
 */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(path), { recursive: true });
  const fd = openSync(path, 'w');
  try {
    const flock = spawn('flock', ['-w', '900', '3'], { stdio: ['ignore', 'ignore', 'inherit', fd] });
    const code = await new Promise((resolve, reject) => {
      flock.once('error', reject).once('close', resolve);
    });
    if (code !== 0) throw new Error(`another process has held ${path} for 15 minutes`);
    return await work();
  } finally {
    closeSync(fd);
  }
}

/** One line of progress on standard error. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
