import { execFile } from 'node:child_process';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { ROOT } from '../../../scripts/lib/config/config.ts';

/** What a script can't do without. */
export const ARGUMENTS: Record<string, string[]> = {
  'deploy.ts': ['v1.0.0', '--plan'],
  'restore.ts': ['latest'],
  'scale.ts': ['3'],
  'certificates.ts': ['status'],
  'maintenance.ts': ['status'],
  'schedule.ts': ['next'],
  'secrets.ts': ['status'],
  'ssh-command.ts': ['--env', 'production'],
  'verify-backup.ts': ['latest'],
};

/** Runs a program as cron does: from /, with next to nothing in its environment. */
export function asCron(program: string, args: string[], env: Record<string, string> = {}) {
  const options = { cwd: '/', env: { PATH: '/usr/bin:/bin', ...env } };
  return new Promise<{ status: number | string | undefined; stdout: string; stderr: string }>(resolve => {
    const child = execFile(program, args, options, (error, stdout, stderr) =>
      resolve({ status: error ? (error.code ?? error.signal ?? -1) : 0, stdout, stderr }),
    );
    child.stdin!.end();
  });
}

/** The exit code of wrong usage: unknown, as Nagios has it, or 2. */
export const usageOf = (name: string) => (name === 'health-check.ts' ? 3 : 2);

export const BAD = {
  POSTGRES_PASSWORD: 'pass-secret',
  PGPORT: 'port-secret',
  SLACK_WEBHOOK_URL: 'hook-secret',
};

/** A bad configuration is reported completely, without a value, and with --json as JSON too. */
export async function assertReportsBad(name: string): Promise<void> {
  const usage = usageOf(name);
  const { status, stdout, stderr } = await asCron(
    join(ROOT, 'scripts', name),
    [...(ARGUMENTS[name] ?? []), '--json'],
    BAD,
  );
  assert.is(status, usage, stderr);
  assert.match(
    stderr,
    /^error: .+\n.*PGPORT: a port number\n.*SLACK_WEBHOOK_URL: an http\(s\) URL\n {2}→ .+\n$/,
  );
  const { error } = JSON.parse(stdout);
  assert.is(error.exitCode, usage);
  assert.match(error.message, /PGPORT: a port number\n.*SLACK_WEBHOOK_URL: an http\(s\) URL$/);
  assert.ok(error.hint.length > 5);
  assert.not.match(stdout + stderr, /-secret/);
}
