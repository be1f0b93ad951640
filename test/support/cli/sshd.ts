import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import { freePort } from '../../../scripts/lib/drill/free-port.ts';
import { install } from '../../engine/apt.ts';
import { startChild } from '../core/child.ts';
import { type Ended, type Started, startProgram } from '../core/world.ts';

/** What a workflow is given: the values of its variables and secrets. */
export interface Connection {
  HOST: string;
  PORT: string;
  LOGIN: string;
  KEY: string;
  KNOWN_HOSTS: string;
}

/** A real sshd on loopback with a deploy key, and a copy of this repository that the key's forced command runs. */
export interface SshServer {
  /** The copy. */
  root: string;
  connection: Connection;
  connectionFor: (key: string) => Connection;
  /** Arguments of ssh up to the server's name, with a key. */
  optionsFor: (key: string) => string[];
  /** Of the process that listens; each connection is a child of it. */
  pid: number;
  log: () => string;
  /** @param key of {@link addKey}; default: the one that is there from the start */
  start: (command: string[], options?: string[], key?: string) => Started;
  run: (command: string[], options?: string[], key?: string) => Promise<Ended>;
  /** @param line what stands before ssh-command.ts in the key's line, variables, and what stands after it */
  addKey: (name: string, line: { env?: Record<string, string>; forced: string }) => void;
  stop: () => Promise<void>;
}

/**
 * @param scripts that stand in for those of the copy
 * @param forced arguments of ssh-command.ts in the key's line
 * @param there another copy, which is there already, and what its scripts need in their environment
 */
export async function startSshServer(
  scripts: Record<string, string>,
  forced = '--env production',
  there?: { root: string; env: Record<string, string> },
): Promise<SshServer> {
  await install(['openssh-server', 'openssh-client']);
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 }); // where sshd, as root, locks up its helpers
  const directory = mkdtempSync(join(tmpdir(), 'sshd-'));
  const file = (name: string) => join(directory, name);
  const root = there?.root ?? file('repository');
  if (!there) {
    cpSync(join(ROOT, 'scripts'), join(root, 'scripts'), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  }
  const shebang = readFileSync(join(ROOT, 'scripts/ssh-command.ts'), 'utf8').split('\n')[0];
  for (const [name, source] of Object.entries(scripts)) {
    const text = source.startsWith('#!') ? source : `${shebang}\n${source}`;
    writeFileSync(join(root, 'scripts', name), text, { mode: 0o755 });
  }
  const generate = (name: string) =>
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', file(name)]);
  for (const name of ['host', 'key', 'stranger']) generate(name);
  const publicKey = (name: string) => readFileSync(file(`${name}.pub`), 'utf8').trim();
  const authorize = (name: string, env: Record<string, string>, more: string) => {
    const variables = Object.entries(env).map(([variable, value]) => `${variable}='${value}' `);
    const command = `${variables.join('')}${root}/scripts/ssh-command.ts ${more}`;
    appendFileSync(file('authorized_keys'), `restrict,command="${command}" ${publicKey(name)}\n`);
  };
  authorize('key', there?.env ?? {}, forced);
  const port = await freePort();
  // All that a key could be given is on, as in many a default, so that what is refused is refused by the key's line.
  writeFileSync(
    file('sshd_config'),
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${file('host')}`,
      `AuthorizedKeysFile ${file('authorized_keys')}`,
      'PidFile none',
      // A shell that sshd starts reads ~/.bashrc, and what this machine has there is no part of a test.
      `SetEnv HOME=${directory}`,
      // The one that both would take by themselves costs as much as all else in a connection.
      'KexAlgorithms curve25519-sha256',
      'UsePAM no',
      'StrictModes no', // the directory is below one that all may write
      'PermitRootLogin prohibit-password',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'AcceptEnv LANG LC_*',
      'X11Forwarding yes',
      'AllowTcpForwarding yes',
      'AllowAgentForwarding yes',
      'PermitTTY yes',
      'PermitTunnel yes',
      'Subsystem sftp /usr/lib/openssh/sftp-server',
      'LogLevel VERBOSE',
    ].join('\n') + '\n',
  );
  const login = userInfo().username;
  const host = `[127.0.0.1]:${port}`;
  writeFileSync(file('known_hosts'), `${host} ${publicKey('host')}\n`);
  const optionsFor = (key: string) =>
    ['-F', '/dev/null', '-p', String(port), '-i', file(key)].concat(
      [
        'BatchMode=yes',
        'IdentitiesOnly=yes',
        `UserKnownHostsFile=${file('known_hosts')}`,
        'StrictHostKeyChecking=yes',
      ].flatMap(option => ['-o', option]),
    );
  const daemon = startChild('/usr/sbin/sshd', ['-D', '-e', '-f', file('sshd_config')]);
  await daemon.line(/^Server listening on /);
  const start: SshServer['start'] = (command, extra = [], key = 'key') =>
    startProgram('ssh', [...optionsFor(key), ...extra, `${login}@127.0.0.1`, ...command], {
      PATH: process.env.PATH!,
      HOME: directory,
    });
  const connectionFor = (key: string) => ({
    HOST: '127.0.0.1',
    PORT: String(port),
    LOGIN: login,
    KEY: readFileSync(file(key), 'utf8'),
    KNOWN_HOSTS: readFileSync(file('known_hosts'), 'utf8'),
  });
  return {
    root,
    connection: connectionFor('key'),
    connectionFor,
    optionsFor,
    pid: daemon.process.pid!,
    log: daemon.output,
    start,
    addKey: (name, { env = {}, forced: more }) => {
      generate(name);
      authorize(name, env, more);
    },
    run: (...args) => start(...args).ended,
    stop: async () => {
      await daemon.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
