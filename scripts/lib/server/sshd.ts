/** What the SSH server of this machine does, in the form of `sshd -T`. */
import { existsSync, readFileSync } from 'node:fs';
import { sh } from '../core/shell.ts';

const SSHD = '/usr/sbin/sshd';

export const hasSshd = (): boolean => existsSync(SSHD);

/** @returns each setting that holds, by its name in lower case; several where it may be given several times */
export async function sshdSettings(user?: string): Promise<Map<string, string[]>> {
  const who = user ? ['-C', `user=${user},host=localhost,addr=127.0.0.1`] : [];
  const text = await sh('read the settings of sshd', {
    hint: 'see what is wrong: sshd -t',
  })`mkdir -p /run/sshd && ${SSHD} -T ${who}`;
  return parseSettings(text);
}

/** @returns the settings of a text like that of `sshd -T`, or of a file without Match */
export function parseSettings(text: string): Map<string, string[]> {
  const settings = new Map<string, string[]>();
  for (const [, name, value] of text.matchAll(/^([A-Za-z]\w*)[ \t]+(.*?)[ \t]*$/gm)) {
    const key = name!.toLowerCase();
    settings.set(key, [...(settings.get(key) ?? []), value!]);
  }
  return settings;
}

/**
 * The ports on which this server can be reached by SSH: those of its settings, those on which it listens now, and that of the
 * session which runs this, however the settings were changed since it began.
 */
export async function sshPorts(): Promise<number[]> {
  if (!hasSshd()) return sessionPorts();
  const settings = await sshdSettings();
  const sockets = await sh('list the ports of sshd')`ss -Hltnp`;
  const units = await sh(
    'list the sockets of ssh',
  )`systemctl show ssh.socket --property=Listen 2>/dev/null || true`;
  const ports = [
    ...(settings.get('port') ?? []).map(Number),
    ...portsOfSockets(sockets),
    ...[...units.matchAll(/:(\d+) \(Stream\)/g)].map(([, port]) => Number(port)),
    ...sessionPorts(),
  ];
  return [...new Set(ports)].filter(port => port > 0).sort((a, b) => a - b);
}

/** @returns the ports of sshd in the output of `ss -Hltnp` that others than this machine can reach */
export function portsOfSockets(text: string): number[] {
  return text
    .split('\n')
    .filter(line => /\("sshd"/.test(line))
    .map(line => line.split(/\s+/)[3] ?? '')
    .filter(address => !/^(127\.|\[::1\])/.test(address))
    .map(address => Number(address.slice(address.lastIndexOf(':') + 1)));
}

/**
 * The server's port of the session that runs this. sudo takes SSH_CONNECTION away, so the processes above are asked, too.
 */
function sessionPorts(): number[] {
  const connections = [process.env.SSH_CONNECTION ?? ''];
  for (let pid = process.ppid; pid > 1; pid = parentOf(pid)) connections.push(connectionOf(pid));
  return connections.flatMap(each => (each ? [Number(each.split(' ')[3])] : []));
}

function parentOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]); // the name of a program may have spaces
  } catch {
    return 0;
  }
}

function connectionOf(pid: number): string {
  try {
    const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    return variables.find(each => each.startsWith('SSH_CONNECTION='))?.slice('SSH_CONNECTION='.length) ?? '';
  } catch {
    return '';
  }
}
