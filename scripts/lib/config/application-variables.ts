/** What differs between applications: docs/APPLICATION_CONTRACT.md has each of these as a question about the image. */
import * as v from 'valibot';
import { port, readBy, text } from './types.ts';

/**
 * A path of the API, also where it stands in Nginx's configuration and in a shell: no character has a meaning there, and no
 * part of it begins with a dot, so that all who read it read the same one.
 */
const PATH = '(?:/[A-Za-z0-9_][A-Za-z0-9_.~-]*)+';
const path = text('a path such as /health/ready', new RegExp(`^${PATH}$`));
const pathOrNone = v.pipe(
  text('a path such as /metrics, or none', new RegExp(`^(?:${PATH}|none)$`)),
  v.transform(value => (value === 'none' ? undefined : value)),
);

export const application = readBy('docker compose, health-check, deploy, rollback, scale', {
  HEALTH_PATH: {
    meaning:
      'Liveness of a backend: 200 while the process works, whatever the database does. Its JSON can have `version` and ' +
      '`instance`.',
    type: path,
    default: '/api/v1/health',
  },
  READY_PATH: {
    meaning:
      'Readiness of a backend: 200 when it can take requests, 503 when it has lost its database. Default: ' +
      '<HEALTH_PATH>/ready.',
    type: path,
  },
  METRICS_PATH: {
    meaning:
      'Prometheus metrics of a backend, or none. Nginx hides it from visitors. If it has http_requests_in_flight, a ' +
      'deployment waits for that; otherwise for Nginx’s own connections to the instance.',
    type: pathOrNone,
    default: '/api/v1/metrics',
    readBy: 'docker compose, deploy, rollback, scale',
  },
  BACKEND_PORT: {
    meaning: 'Port that the backend listens on. Compose sets PORT to it.',
    type: port,
    default: '3000',
  },
  FRONTEND_PORT: {
    meaning: 'Port that the frontend’s image listens on, as the image’s own user.',
    type: port,
    default: '80',
    readBy: 'docker compose, deploy, rollback',
  },
});
