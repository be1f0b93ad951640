/**
 * The maintenance page, which Nginx shows to visitors as long as a file exists: nginx/snippets/maintenance.conf. Nginx looks
 * at each request, so that the page needs no reload, and is the same after one, after a deployment and after a restart.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { isIP } from 'node:net';
import { dirname, join } from 'node:path';
import { ROOT } from '../config/config.ts';
import { usageError } from '../core/errors.ts';
import { PARTIAL, refuseUnwritablePath, sync, writeWhole } from '../core/files.ts';
import { utc } from '../core/format.ts';
import { log } from '../core/log.ts';
import { clientOf } from './client.ts';

const SWITCH = join(ROOT, 'nginx/maintenance/on');
/** With the visitor, as nginx/snippets/visitors.conf names it, the name of a file beside the switch. */
const ALLOWED = 'allowed-';
/** In the switch, where an operator has switched it on while a rollback had: then it stays after the rollback. */
const BY_OPERATOR = 'operator\n';

export const isInMaintenance = (): boolean => existsSync(SWITCH);

/** Since when the page is on, and who sees the site anyway: addresses of IPv4, and networks of IPv6 as `2001:db8:0:1::/64`. */
export interface Maintenance {
  since: Date;
  allowed: string[];
}

/** @returns undefined where the page is off */
export function readMaintenance(): Maintenance | undefined {
  const since = statSync(SWITCH, { throwIfNoEntry: false })?.mtime;
  return since && { since, allowed: allowedFiles().filter(isWhole).map(shownVisitor) };
}

/** @returns one sentence on who sees what */
export function describeMaintenance({ since, allowed }: Maintenance): string {
  const who = allowed.length > 0 ? `all but ${allowed.join(', ')}` : 'all visitors';
  return `on since ${utc(since)}: ${who} get 503`;
}

/**
 * @param text addresses, separated by commas; of IPv6 also a network of 64 bits. One of IPv6 stands for its network of 64
 *   bits, the smallest that is given out: its machines change their addresses each day
 * @returns them as {@link Maintenance} shows them, each once
 * @throws a usage error for anything else
 */
export function parseVisitors(text: string): string[] {
  const visitor = (word: string): string => {
    const [, address = '', bits] = /^([^/]+?)(?:\/(\d+))?$/.exec(word) ?? [];
    const kind = isIP(address);
    if (kind === 4 && [undefined, '32'].includes(bits)) return address;
    // Of an address with a zone, or one that stands for one of IPv4, Nginx knows nothing.
    if (kind === 6 && [undefined, '64', '128'].includes(bits) && !/[%.]/.test(address)) {
      const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1); // lower case, without zeros in front
      const network = clientOf(canonical);
      if (!network.startsWith('0:0:')) return `${network}::/64`;
    }
    throw usageError(
      `${JSON.stringify(word)} is not the address of a visitor`,
      'give addresses such as 203.0.113.7,2001:db8:0:1::/64; of IPv4 single ones, of IPv6 networks of 64 bits.',
    );
  };
  return [...new Set(text.split(',').map(word => visitor(word.trim())))];
}

/** @throws OperationalError when this user can't switch the page on and off */
export const refuseUnwritableSwitch = (): Promise<void> =>
  refuseUnwritablePath(dirname(SWITCH), 'switch the maintenance page on');

/** Switches the page on for a rollback, so that it survives a power loss. Where an operator has switched it on, all stays. */
export async function beginMaintenance(): Promise<void> {
  const before = readMaintenance();
  if (!before) {
    await allow([]);
    await writeWhole(SWITCH, '', 0o644);
  }
  const others = before?.allowed.length ? `, and not for ${before.allowed.join(', ')}` : '';
  log.info(`maintenance page: on${before ? ` (it was on already${others})` : ''}`);
}

/** Switches the page on for an operator. @param allowed who sees the site anyway, from {@link parseVisitors}; nobody else does */
export async function switchOn(allowed: string[]): Promise<void> {
  await allow(allowed);
  const isTheirs = isInMaintenance() && readFileSync(SWITCH, 'utf8') === BY_OPERATOR;
  if (!isTheirs) await writeWhole(SWITCH, BY_OPERATOR, 0o644);
}

/** Switches the page off, for an operator. */
export async function switchOff(): Promise<void> {
  await rm(SWITCH, { force: true });
  await sync(dirname(SWITCH));
  await allow([]);
}

/**
 * Switches the page off after a rollback.
 * @param stays whether an operator had switched it on before: then it stays, as if it was switched on meanwhile
 */
export async function endMaintenance(stays: boolean): Promise<void> {
  if (stays || (isInMaintenance() && readFileSync(SWITCH, 'utf8') === BY_OPERATOR)) {
    log.info('maintenance page: still on; `./scripts/maintenance.ts off` switches it off');
    return;
  }
  await switchOff();
  log.info('maintenance page: off');
}

/** Lets these visitors pass while the page is on, and no others. */
async function allow(visitors: string[]): Promise<void> {
  const names = visitors.map(visitor => visitor.replace(/::\/64$/, ''));
  for (const name of allowedFiles().filter(each => !names.includes(each))) await rm(fileOf(name));
  for (const name of names) await writeWhole(fileOf(name), '', 0o644);
  await sync(dirname(SWITCH));
}

const fileOf = (name: string) => join(dirname(SWITCH), ALLOWED + name);

const isWhole = (name: string) => !name.endsWith(PARTIAL);

const shownVisitor = (name: string) => (name.includes(':') ? `${name}::/64` : name);

const allowedFiles = (): string[] =>
  readdirSync(dirname(SWITCH))
    .filter(name => name.startsWith(ALLOWED))
    .map(name => name.slice(ALLOWED.length))
    .sort();
