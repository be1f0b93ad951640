import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import type { RequestHandler, Response } from 'express';
import { Gauge, Histogram, type Registry } from 'prom-client';
import { log } from './log.ts';

/**
 * Counts, measures and logs requests, and ends connections once the instance is leaving. Probes are mounted before
 * it: they'd keep the number of requests in flight, which a deployment waits to see at 0, from ever getting there.
 * Call it when Socket.IO is attached to the server, so that its polling is told to leave as well.
 */
export function watchTraffic(http: Server, registry: Registry) {
  const inFlight = new Set<Response>();
  let leaving = false;

  new Gauge({
    name: 'http_requests_in_flight',
    help: 'Requests being answered, probes not counted',
    registers: [registry],
    collect() {
      this.set(inFlight.size);
    },
  });
  const durations = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Duration of requests, probes not counted',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.025, 0.1, 0.2, 0.5, 1, 5, 30],
    registers: [registry],
  });

  const watch: RequestHandler = (req, res, next) => {
    const started = performance.now();
    const requestId = req.get('X-Request-Id') ?? randomUUID();
    res.set('X-Request-Id', requestId);
    inFlight.add(res);
    res.once('close', () => {
      inFlight.delete(res);
      const seconds = (performance.now() - started) / 1000;
      const status = res.writableFinished ? res.statusCode : 499; // the client left before it had the answer
      const route = req.route ? req.baseUrl + req.route.path : 'none';
      durations.observe({ method: req.method, route, status }, seconds);
      // The path without its query, which may carry a secret.
      const path = req.originalUrl.split('?')[0];
      log('info', 'request', { requestId, method: req.method, path, status, seconds, ip: req.ip });
    });
    next();
  };

  http.prependListener('request', (_req, res) => {
    if (leaving) res.setHeader('Connection', 'close');
  });

  return {
    watch,
    inFlight: () => inFlight.size,
    /** No connection outlives the answer that it carries from now on. */
    leave() {
      leaving = true;
      for (const res of inFlight) if (!res.headersSent) res.set('Connection', 'close');
    },
  };
}
