/** What a line of a log says: a request that Nginx answered, an entry of a program that logs JSON, or text. */

export interface Request {
  /** When it ended: ISO 8601. */
  time: string;
  client: string;
  method: string;
  host: string;
  path: string;
  status: number;
  /** Seconds. */
  seconds: number;
  bytes: number;
  agent: string;
  /** The servers that were asked, `ADDRESS:PORT, …`; empty: none. */
  upstream: string;
  upstreamStatus: string;
}

export interface Entry {
  service: string;
  /** In UTC, as Docker writes it. */
  time: string;
  request?: Request;
  /** The fields of another object. */
  fields?: Record<string, unknown>;
  /** A line that is no JSON, or a broken one. */
  text?: string;
}

/** @param text without the timestamp of Docker */
export function entryOf(service: string, time: string, text: string): Entry {
  const fields = objectOf(text);
  if (!fields) return { service, time, text };
  const request = service === 'nginx' ? requestOf(fields) : undefined;
  return { service, time, ...(request ? { request } : { fields }) };
}

function objectOf(text: string): Record<string, unknown> | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** The format is in nginx/snippets/logging.conf. */
function requestOf(fields: Record<string, unknown>): Request | undefined {
  const textOf = (name: string) => (typeof fields[name] === 'string' ? (fields[name] as string) : '');
  const numberOf = (name: string) => (typeof fields[name] === 'number' ? (fields[name] as number) : 0);
  const status = numberOf('status');
  if (status === 0 || typeof fields.path !== 'string') return undefined;
  return {
    time: textOf('time'),
    client: textOf('client'),
    method: textOf('method'),
    host: textOf('host'),
    path: textOf('path'),
    status,
    seconds: numberOf('seconds'),
    bytes: numberOf('bytes'),
    agent: textOf('agent'),
    upstream: textOf('upstream'),
    upstreamStatus: textOf('upstream_status'),
  };
}
