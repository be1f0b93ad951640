import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { install, whyNoPackages } from '../../engine/apt.ts';
import { type Child, startChild } from '../core/child.ts';

/** Debian's cron in a mount namespace of its own: the machine's crontabs, jobs, mail and zone are not touched. */
export interface PrivateCron {
  /** A program that sees these crontabs, from cron's own bare environment. */
  run: (command: string[], input?: string) => { code: number; stdout: Buffer; stderr: string };
  /** Starts the daemon. */
  start: () => void;
  /** A file to which the mails go that cron sends, headers and all. */
  mail: string;
  stop: () => Promise<void>;
}

/**
 * @param zone what the daemon takes for the server's
 * @throws where cron can't be had, or this process may not mount
 */
export async function startPrivateCron(zone: string): Promise<PrivateCron> {
  const obstacle = whyNoPackages();
  if (obstacle) throw new Error(`this test runs Debian's cron, as root, but ${obstacle}`);
  await install(['cron', 'tzdata']);
  const directory = mkdtempSync(join(tmpdir(), 'cron-'));
  chmodSync(directory, 0o755);
  for (const name of ['crontabs', 'cron.d', 'sbin']) mkdirSync(join(directory, name));
  chownSync(
    join(directory, 'crontabs'),
    0,
    Number(execFileSync('stat', ['-c', '%g', '/var/spool/cron/crontabs'])),
  );
  chmodSync(join(directory, 'crontabs'), 0o1730);
  writeFileSync(join(directory, 'crontab'), '');
  const mail = join(directory, 'mail');
  writeFileSync(mail, '');
  writeFileSync(join(directory, 'sbin/sendmail'), `#!/bin/sh\ncat >>'${mail}'\n`, { mode: 0o755 });
  copyFileSync('/usr/sbin/cron', join(directory, 'sbin/cron'));
  const mounts = [
    `mount --bind '${directory}/crontabs' /var/spool/cron/crontabs`,
    `mount --bind '${directory}/cron.d' /etc/cron.d`,
    `mount --bind '${directory}/crontab' /etc/crontab`,
    `mount --bind '${directory}/sbin' /usr/sbin`,
    `mount --bind '/usr/share/zoneinfo/${zone}' /etc/localtime`,
    'mount -t tmpfs tmpfs /run', // the daemon's number
  ];
  const script = `set -e; ${mounts.join('; ')}; echo ready; exec sleep infinity`;
  const holder = startChild('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script]);
  const inside = ['--mount', `--target=${holder.process.pid}`, '--'];
  await holder.line(/^ready$/);
  let daemon: Child | undefined;
  const env = { PATH: '/usr/bin:/bin', HOME: '/root', LOGNAME: 'root' };
  return {
    mail,
    run: (command, input = '') => {
      try {
        const options = { env, input, stdio: 'pipe' } as const;
        return { code: 0, stdout: execFileSync('nsenter', [...inside, ...command], options), stderr: '' };
      } catch (error) {
        const { status, stdout, stderr } = error as { status: number; stdout: Buffer; stderr: Buffer };
        return { code: status, stdout, stderr: `${stderr}` };
      }
    },
    start: () => {
      daemon = startChild('nsenter', [...inside, '/usr/sbin/cron', '-f'], { env });
    },
    stop: async () => {
      await daemon?.stop('SIGKILL');
      await holder.stop('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
