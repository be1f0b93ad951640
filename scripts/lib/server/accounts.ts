/** Users of this server. */
import { sh } from '../core/shell.ts';

export interface Account {
  name: string;
  uid: number;
  gid: number;
  home: string;
  shell: string;
  /** Names. */
  groups: string[];
}

/** @returns a user, from wherever the system knows users; undefined: there is none of this name */
export async function accountOf(name: string): Promise<Account | undefined> {
  const line = await sh('look for the user')`getent passwd ${name} || true`;
  if (line === '') return undefined;
  const groups = await sh('read the user’s groups')`id --name --groups ${name}`;
  return { ...parseAccount(line), groups: groups.trim().split(' ') };
}

/** @returns the fields of a line of passwd(5) */
export function parseAccount(line: string): Omit<Account, 'groups'> {
  const [name = '', , uid, gid, , home = '', shell = ''] = line.trim().split(':');
  return { name, uid: Number(uid), gid: Number(gid), home, shell };
}

/** @returns all users */
export async function allAccounts(): Promise<Omit<Account, 'groups'>[]> {
  const text = await sh('list the users')`getent passwd`;
  return text.split('\n').map(parseAccount);
}

/** @returns whether no password lets this user in */
export async function isLocked(name: string): Promise<boolean> {
  const status = await sh('ask for the state of the password')`passwd --status ${name}`;
  return status.split(' ')[1] !== 'P';
}
