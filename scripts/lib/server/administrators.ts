/** Who can log in with a key and become root: without such a user, a server that takes no passwords is lost. */
import { readFileSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { hasProgram, sh } from '../core/shell.ts';
import { type Account, accountOf, allAccounts, isLocked } from './accounts.ts';
import { parseKey } from './public-keys.ts';
import { sshdSettings } from './sshd.ts';

/** @returns the names of users who have a key that sshd takes, and are root or may become it */
export async function administratorsWithKey(): Promise<string[]> {
  const candidates = (await allAccounts()).filter(
    ({ uid, shell }) => (uid === 0 || (uid >= 1000 && uid < 60_000)) && !/(nologin|false)$/.test(shell),
  );
  const found: string[] = [];
  for (const { name } of candidates) {
    const account = (await accountOf(name))!;
    if ((await mayBecomeRoot(account)) && (await hasKey(account))) found.push(name);
  }
  return found;
}

/** With sudo, by a password that the user has or without one. */
async function mayBecomeRoot({ name, uid }: Account): Promise<boolean> {
  if (uid === 0) return true;
  if (!hasProgram('sudo')) return false;
  const rights = await sh('ask what a user may do')`sudo -n -l -U ${name} 2>/dev/null || true`;
  const all = [...rights.matchAll(/^\s+\((?:ALL|root)[^)]*\)\s+(.*)$/gm)].map(([, what]) => what!);
  if (all.some(what => /\bNOPASSWD:(?: \w+:)* ALL\b/.test(what))) return true;
  return all.some(what => /(?:^|: )ALL$/.test(what)) && !(await isLocked(name));
}

/** A key that sshd would take for this user, from any address and for any command. */
async function hasKey(account: Account): Promise<boolean> {
  const settings = await sshdSettings(account.name);
  if (settings.get('pubkeyauthentication')?.[0] !== 'yes' || !isAllowed(account, settings)) return false;
  if (
    account.uid === 0 &&
    !/^(yes|prohibit-password|without-password)$/.test(settings.get('permitrootlogin')?.[0] ?? '')
  )
    return false;
  const files = (settings.get('authorizedkeysfile') ?? []).flatMap(each => each.split(/\s+/));
  return files.some(file => {
    const path = pathOf(file, account);
    return isTrusted(path, account) && isFree(path);
  });
}

/** AllowUsers and the like, as far as they name this user or a group. A pattern is no proof. */
function isAllowed({ name, groups }: Account, settings: Map<string, string[]>): boolean {
  const names = (key: string) => (settings.get(key) ?? []).flatMap(each => each.split(/\s+/));
  const isIn = (key: string, own: string[]) => names(key).some(each => own.includes(each));
  return (
    (names('allowusers').length === 0 || isIn('allowusers', [name])) &&
    (names('allowgroups').length === 0 || isIn('allowgroups', groups)) &&
    !names('denyusers').some(each => each === name || /[*?!@]/.test(each)) &&
    !names('denygroups').some(each => groups.includes(each) || /[*?!]/.test(each))
  );
}

/** `man sshd_config`, AuthorizedKeysFile. */
function pathOf(file: string, { name, home }: Account): string {
  const path = file.replaceAll('%h', home).replaceAll('%u', name).replaceAll('%%', '%');
  return isAbsolute(path) ? path : join(home, path);
}

/** sshd takes no key from a file that another user can write, nor from below such a directory (StrictModes). */
function isTrusted(path: string, { uid, home }: Account): boolean {
  for (let each = path; ; each = dirname(each)) {
    const found = statSync(each, { throwIfNoEntry: false });
    if (!found || (found.uid !== uid && found.uid !== 0) || found.mode & 0o022) return false;
    if (each === home || each === '/') return true;
  }
}

/** @returns whether a file has a key without conditions: no forced command, no address, no end */
function isFree(path: string): boolean {
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.some(line => {
    const key = parseKey(line);
    return key && !/(^|,)(command|from|expiry-time|cert-authority)\b/i.test(key.options);
  });
}
