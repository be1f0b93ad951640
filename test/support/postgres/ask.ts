/**
 * Asks a server as PostgreSQL's protocol says, in this process: to start a psql takes more than its answer does, and a
 * run of the tests asks a thousand times. https://www.postgresql.org/docs/current/protocol-flow.html
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import type { Postgres } from '../../../scripts/lib/config/config.ts';

const PROTOCOL = 3 << 16;
const [SASL, SASL_CONTINUE] = [10, 11];

/**
 * Runs each text of statements, in a transaction of its own, in one session.
 * @returns what psql would print of the rows, unaligned
 * @throws Error with the server's message
 */
export function ask(
  { host, port, user, password }: Postgres,
  database: string,
  ...texts: string[]
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port!, host);
    const login = createLogin(password ?? '');
    const queue = [...texts];
    const rows: string[] = [];
    let isAnswered = false;
    let error: Error | undefined;
    let received = Buffer.alloc(0);

    const send = (type: string, ...parts: (string | Buffer)[]) => {
      const body = Buffer.concat(parts.map(part => Buffer.from(part as string)));
      socket.write(Buffer.concat([Buffer.from(type), int32(body.length + 4), body]));
    };
    const receive = (type: string, body: Buffer) => {
      const auth = type === 'R' ? body.readInt32BE() : undefined;
      if (auth === SASL) {
        const first = login.first();
        send('p', 'SCRAM-SHA-256\0', int32(first.length), first);
      } else if (auth === SASL_CONTINUE) send('p', login.final(body.toString('utf8', 4)));
      else if (type === 'D') rows.push(columns(body).join('|'));
      else if (type === 'E') error ??= new Error(message(body));
      else if (type === 'Z') {
        const text = error ? undefined : queue.shift();
        if (text !== undefined) return send('Q', `${text}\0`);
        isAnswered = true;
        send('X');
      }
    };
    socket.on('data', data => {
      received = Buffer.concat([received, data]);
      while (received.length >= 5 && received.length > received.readInt32BE(1)) {
        const end = received.readInt32BE(1) + 1;
        receive(String.fromCharCode(received[0]!), received.subarray(5, end));
        received = received.subarray(end);
      }
    });
    socket.once('error', reason => {
      error ??= reason;
    });
    socket.once('close', () => {
      if (!isAnswered) error ??= new Error('the connection was lost');
      if (error) reject(error);
      else resolve(rows.map(row => `${row}\n`).join(''));
    });
    const settings = { user, database, client_encoding: 'UTF8', application_name: 'test' };
    const names = Object.entries(settings).map(([name, value]) => `${name}\0${value}\0`);
    send('', int32(PROTOCOL), ...names, '\0');
  });
}

const int32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

/** The values of a row, as text. */
function columns(body: Buffer): string[] {
  let at = 2;
  return Array.from({ length: body.readInt16BE() }, () => {
    const length = body.readInt32BE(at);
    const start = at + 4;
    at = start + Math.max(length, 0);
    return body.toString('utf8', start, at);
  });
}

/** `ERROR: relation "x" does not exist` */
function message(body: Buffer): string {
  const fields = new Map(
    body
      .toString()
      .split('\0')
      .map(field => [field[0], field.slice(1)]),
  );
  return `${fields.get('S')}: ${fields.get('M')}`;
}

/** A login as RFC 5802 says, with SHA-256. */
function createLogin(password: string) {
  const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  const own = `n=,r=${randomBytes(18).toString('base64')}`;
  return {
    first: () => `n,,${own}`,
    final: (server: string) => {
      const { r, s, i } = Object.fromEntries(server.split(',').map(each => [each[0], each.slice(2)]));
      const salt = Buffer.from(s!, 'base64');
      const salted = pbkdf2Sync(password.normalize('NFKC'), salt, Number(i), 32, 'sha256');
      const key = hmac(salted, 'Client Key');
      const stored = createHash('sha256').update(key).digest();
      const signature = hmac(stored, `${own},${server},c=biws,r=${r}`);
      const proof = key.map((byte, index) => byte ^ signature[index]!);
      return `c=biws,r=${r},p=${Buffer.from(proof).toString('base64')}`;
    },
  };
}
