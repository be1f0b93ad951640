import type { Server as HttpServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import type { Redis } from 'ioredis';
import { Gauge, type Registry } from 'prom-client';
import { Server } from 'socket.io';
import type { Config } from './config.ts';
import { log } from './log.ts';
import { closeRedis, openRedis } from './stores.ts';

type Event = { number: number; id: string; text: string; instance: string };

/*
 * An event gets its number and its place in the stream in one step, and the same id always gets the same number:
 * a client whose acknowledgement was lost may send again. Entries of a stream are named 0-1, 0-2, …
 */
const numberEvent = `
  local number = redis.call('GET', KEYS[2])
  if not number then
    number = string.sub(redis.call('XADD', KEYS[1], 'MAXLEN', '~', 10000, '0-*', 'event', ARGV[1]), 3)
    redis.call('SET', KEYS[2], number, 'EX', 3600)
  end
  return number`;

/**
 * Socket.IO over all instances. Redis' publish and subscribe reaches only who listens at that moment, so events
 * are kept as well: a client that was away asks for what came `after` the last number it saw.
 */
export function openSockets(config: Config, http: HttpServer, redis: Redis, registry: Registry) {
  const publisher = openRedis(config, 'socket.io publisher');
  const subscriber = openRedis(config, 'socket.io subscriber');
  const io = new Server(http, {
    adapter: createAdapter(publisher, subscriber),
    cors: config.corsOrigin ? { origin: config.corsOrigin, credentials: true } : undefined,
  });

  new Gauge({
    name: 'socketio_clients',
    help: 'Connected Socket.IO clients of this instance',
    registers: [registry],
    collect() {
      this.set(io.engine.clientsCount);
    },
  });

  async function eventsAfter(last: number): Promise<Event[]> {
    const entries = await redis.xrange('events', `(0-${last}`, '+');
    return entries.map(([id, fields]) => ({ number: Number(id.slice(2)), ...JSON.parse(fields[1] ?? '{}') }));
  }

  io.on('connection', socket => {
    const { instance } = config;
    // A handler that fails doesn't acknowledge: the client's time-out makes it send again.
    const on = (name: string, handle: (value: never) => Promise<unknown>) =>
      socket.on(name, async (value, acknowledge?: (answer: unknown) => void) => {
        try {
          const answer = await handle(value as never);
          acknowledge?.(answer);
        } catch (error) {
          log('error', 'socket event failed', { name, error });
        }
      });

    on('echo', async (value: unknown) => ({ value, instance }));
    on('after', async (last: number) => eventsAfter(Number(last) || 0));
    on('publish', async ({ id, text }: { id: string; text: string }) => {
      const event = { id, text, instance };
      const number = Number(await redis.eval(numberEvent, 2, 'events', `event:${id}`, JSON.stringify(event)));
      io.emit('event', { number, ...event });
      return { number };
    });
  });

  return {
    ready: () => subscriber.status === 'ready' && publisher.status === 'ready',
    /** Closes each connection without a farewell, which makes the clients reconnect elsewhere, then the HTTP server. */
    async close() {
      await io.close();
      await Promise.all([publisher, subscriber].map(closeRedis));
    },
  };
}
