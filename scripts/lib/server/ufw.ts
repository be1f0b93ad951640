/** UFW’s rules as `ufw show added` and `ufw status verbose` print them. */

export interface UfwRule {
  action: 'allow' | 'limit' | 'deny' | 'reject';
  /** What follows: `22/tcp`, `from 203.0.113.7 to any port 22 proto tcp`. */
  what: string;
}

/** @returns the rules for incoming connections, in their order */
export function parseRules(text: string): UfwRule[] {
  const lines = [
    ...text.matchAll(/^ufw (?:route )?(allow|limit|deny|reject) (?!out\b)(?:in )?(.*?)(?: comment '.*')?$/gm),
  ];
  return lines
    .filter(([line]) => !line.startsWith('ufw route'))
    .map(([, action, what]) => ({
      action: action as UfwRule['action'],
      what: what!.replace(/^log(-all)? /, ''),
    }));
}

/** Names of UFW’s application profiles and of /etc/services. */
const NAMES: Record<string, number> = { ssh: 22, openssh: 22, http: 80, https: 443 };

/**
 * @returns whether a rule is about this TCP port: for everybody, or only for some (an address, an interface)
 */
export function concerns({ what }: UfwRule, port: number): 'all' | 'some' | undefined {
  if (/(?:\/| proto )udp$/.test(what)) return undefined;
  const simple = /^(?:to any port )?([\w:,]+?)(?:\/tcp| proto tcp)?$/i.exec(what)?.[1];
  if (simple !== undefined) return isIn(simple, port) ? 'all' : undefined;
  const inner = /\bport ([\w:,]+)/.exec(what)?.[1];
  return inner === undefined || isIn(inner, port) ? 'some' : undefined;
}

/** `22`, `ssh`, `80,443`, `6000:6010`. */
function isIn(ports: string, port: number): boolean {
  return ports.split(',').some(each => {
    const [from, to = from] = each.split(':').map(end => NAMES[end.toLowerCase()] ?? Number(end));
    return from! <= port && port <= to!;
  });
}

/** @returns whether UFW works, and what it does with what no rule is about */
export function parseStatus(text: string): { active: boolean; incoming: string; routed: string } {
  const [, incoming = '', routed = ''] =
    /^Default: (\w+) \(incoming\), \w+ \(outgoing\), (\w+) \(routed\)/m.exec(text) ?? [];
  return { active: /^Status: active$/m.test(text), incoming, routed };
}
