/** Whether the host names of the product lead to this server, or to Cloudflare. */
import { Resolver } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { type Config, ROOT } from '../../config/config.ts';
import { messageOf, usageError } from '../../core/errors.ts';
import type { SetupCheck } from './check.ts';

/** Milliseconds, and how often a question is asked. */
const PATIENCE = { timeout: 2000, tries: 2 };

/** What a name leads to. */
export interface Answer {
  name: string;
  v4: string[];
  v6: string[];
  /** Why the DNS server gave no answer; a name without addresses is one. */
  failure?: string;
}

/** Where names may lead. */
export interface Places {
  /** Addresses of this server's interfaces. */
  own: string[];
  isCloudflare: (address: string) => boolean;
}

/** @returns a line for each host name */
export async function dnsChecks({ site }: Config, resolver: Resolver): Promise<SetupCheck[]> {
  const places = { own: ownAddresses(), isCloudflare: cloudflare() };
  const answers = await Promise.all(site.names.map(name => look(resolver, name)));
  return answers.map(answer => judgeAnswer(answer, places));
}

/**
 * @param server an address, with a port or without, to ask instead of this machine's DNS server
 * @throws a usage error where it is none
 */
export function resolverOf(server: string | undefined, patience = PATIENCE): Resolver {
  const resolver = new Resolver(patience);
  try {
    if (server !== undefined) resolver.setServers([server]);
    return resolver;
  } catch {
    throw usageError(
      '--resolver is no address',
      'give one, such as --resolver 192.0.2.53 or [2001:db8::53]:5353.',
    );
  }
}

async function look(resolver: Resolver, name: string): Promise<Answer> {
  let failure: string | undefined;
  const addresses = (asked: Promise<string[]>) =>
    asked.catch(error => {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENODATA' && code !== 'ENOTFOUND') failure = code ?? messageOf(error);
      return [];
    });
  const [v4, v6] = await Promise.all([
    addresses(resolver.resolve4(name)),
    addresses(resolver.resolve6(name)),
  ]);
  return { name, v4, v6, ...(failure !== undefined && { failure }) };
}

/** @returns what is wrong with an answer, and what to do */
export function judgeAnswer({ name, v4, v6, failure }: Answer, places: Places): SetupCheck {
  const { own, isCloudflare } = places;
  const line = (status: SetupCheck['status'], message: string, hint?: string): SetupCheck => ({
    name: 'dns',
    status,
    message: `${name} ${message}`,
    ...(hint && { hint }),
  });
  if (failure)
    return line(
      'unknown',
      `could not be looked up: ${failure}`,
      'ask another DNS server: --resolver ADDRESS.',
    );
  const here = own.filter(address => isIP(address) === 4 && !isPrivate(address));
  const target = here.length > 0 ? here.join(' or ') : 'the address that your provider shows for this server';
  if (v4.length + v6.length === 0)
    return line('warning', 'has no address', `add an A record: ${target}; or one that Cloudflare proxies.`);
  const six = v6.filter(address => !isCloudflare(address));
  const elsewhere = v4.filter(address => !own.includes(address) && !isCloudflare(address));
  if (elsewhere.length > 0 && here.length === 0)
    return line(
      'unknown',
      `leads to ${elsewhere.join(', ')}; this server’s interfaces have no public IPv4 address, so it can’t know whether that is its own`,
      'compare it with the address that your provider shows for this server.',
    );
  if (elsewhere.length > 0)
    return line(
      'warning',
      `leads to ${elsewhere.join(', ')}: neither this server nor Cloudflare`,
      `set its A record to ${target}.`,
    );
  if (six.length > 0)
    return line(
      'warning',
      `has AAAA records that do not lead to Cloudflare (${six.join(', ')}): Nginx is published on IPv4 only`,
      'remove them.',
    );
  return line('ok', v4.every(isCloudflare) ? 'leads to Cloudflare' : 'leads to this server');
}

/** Networks of containers: no address of theirs is this server's for others. */
const OF_CONTAINERS = /^(?:docker|br-|veth)/;

function ownAddresses(): string[] {
  return Object.entries(networkInterfaces())
    .filter(([name]) => !OF_CONTAINERS.test(name))
    .flatMap(([, each = []]) => each.filter(({ internal }) => !internal).map(({ address }) => address));
}

/** Networks that no name on the internet leads to: RFC 1918, RFC 6598 (a provider's NAT), link-local. */
const PRIVATE = new BlockList();
for (const [network, bits] of [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
  ['169.254.0.0', 16],
  ['127.0.0.0', 8],
] as const)
  PRIVATE.addSubnet(network, bits);

const isPrivate = (address: string) => PRIVATE.check(address);

/** The networks from which Nginx takes a visitor's address out of a header. */
function cloudflare(): Places['isCloudflare'] {
  const list = new BlockList();
  const text = readFileSync(join(ROOT, 'nginx/snippets/cloudflare.conf'), 'utf8');
  for (const [, network, bits] of text.matchAll(/^set_real_ip_from ([\da-f.:]+)\/(\d+);$/gm))
    list.addSubnet(network!, Number(bits), isIP(network!) === 6 ? 'ipv6' : 'ipv4');
  return address => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}
