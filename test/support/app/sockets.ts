import { randomUUID } from 'node:crypto';
import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';

export type SocketClient = {
  socket: Socket;
  /** The numbers of all events that reached this client, as they were sent or on asking for what was missed. */
  seen: Set<number>;
  /** Publishes until it's acknowledged. @returns the event's number */
  publish(text: string): Promise<number>;
  /** Asks for the events after the last one before the first gap. */
  catchUp(): Promise<void>;
};

/** Connects as a careful application does: it acknowledges, sends again, and asks for what it missed. */
export function startSocketClient(
  url: string,
  options: Partial<ManagerOptions & SocketOptions> = {},
): SocketClient {
  const socket = io(url, {
    transports: ['websocket'],
    forceNew: true,
    reconnectionDelay: 100,
    reconnectionDelayMax: 500,
    ...options,
  });
  const seen = new Set<number>();
  const acknowledged = socket.timeout(2_000);
  socket.on('event', ({ number }: { number: number }) => seen.add(number));

  async function insist<T>(name: string, value: unknown): Promise<T> {
    for (;;) {
      try {
        return await acknowledged.emitWithAck(name, value);
      } catch {
        // No answer in time: the instance left, or the connection did. Sending again is safe.
      }
    }
  }
  async function catchUp(): Promise<void> {
    let last = 0;
    while (seen.has(last + 1)) last += 1;
    for (const { number } of await insist<{ number: number }[]>('after', last)) seen.add(number);
  }
  socket.io.on('reconnect', catchUp);

  return {
    socket,
    seen,
    catchUp,
    async publish(text) {
      return (await insist<{ number: number }>('publish', { id: randomUUID(), text })).number;
    },
  };
}
