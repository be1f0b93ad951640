/** Somebody outside who logs in to a machine by SSH. */

import type { Result } from '../../engine/process.ts';
import { startChild } from '../core/child.ts';
import { type Machine, SERVER } from './machine.ts';

interface Login {
  user?: string;
  port?: number;
  /** The file of a private key; undefined: none. */
  key?: string | undefined;
}

/** @returns what follows `ssh` up to the command */
function argv({ user = 'root', port = 22, key }: Login): string[] {
  const options = [
    'BatchMode=yes',
    'ConnectTimeout=10',
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'LogLevel=ERROR',
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    ...(key ? [] : ['PubkeyAuthentication=no']),
  ].flatMap(option => ['-o', option]);
  return [
    'ssh',
    '-F',
    '/dev/null',
    ...options,
    '-p',
    `${port}`,
    ...(key ? ['-i', key] : []),
    `${user}@${SERVER}`,
  ];
}

export function ssh(
  machine: Machine,
  command: string,
  login: Login = { key: machine.operatorKey },
): Promise<Result> {
  return machine.outside([...argv(login), command]);
}

export interface Session {
  /** Resolves when the server has sent something that it had not sent before. */
  isAlive: () => Promise<void>;
  end: () => Promise<unknown>;
}

/** Logs in, and stays. */
export async function openSession(
  machine: Machine,
  login: Login = { key: machine.operatorKey },
): Promise<Session> {
  const ticks = 'n=0; while n=$((n+1)); do echo tick $n; sleep 0.2; done';
  const [program, ...args] = machine.outsideArgv([...argv(login), ticks]);
  const session = startChild(program!, args);
  await session.line(/^tick 1$/, 30);
  return {
    isAlive: async () => {
      const last = Number(session.output().match(/\d+(?=\n$)/)?.[0] ?? 0);
      await session.line(new RegExp(`^tick ${last + 2}$`), 20);
    },
    end: () => session.stop('SIGKILL'),
  };
}
