/** What differs between applications: docs/APPLICATION_CONTRACT.md has each of these as a question about the image. */
import * as v from 'valibot';
import { port, readBy, text } from './types.ts';

/*
 * Most of these values become a part of Nginx's configuration. Each is an allow-list of characters that have no meaning there
 * or in a shell; nginx/settings.sh has the same patterns, and test/nginx/application-settings.test.ts compares the two.
 */

/** No part of it begins with a dot, so that all who read it read the same path. */
const PATH = '(?:/[A-Za-z0-9_][A-Za-z0-9_.~-]*)+';
const list = (item: string) => new RegExp(`^${item}(?:,${item})*$`);
const path = text('a path such as /health/ready', new RegExp(`^${PATH}$`));
const pathOrNone = v.pipe(
  text('a path such as /metrics, or none', new RegExp(`^(?:${PATH}|none)$`)),
  v.transform(value => (value === 'none' ? undefined : value)),
);
const paths = text('paths such as /webhooks,/oauth', list(PATH));
/** Those have rules of their own: limits of requests, WebSockets. */
const otherPaths = text(
  'paths outside of /api and /socket.io, such as /webhooks,/oauth',
  list(`(?!/(?:[aA][pP][iI]|[sS][oO][cC][kK][eE][tT]\\.[iI][oO])(?:[/,]|$))${PATH}`),
);
const uploads = text(
  'paths, each with the size of a request, such as /api/v1/uploads:50m',
  list(`${PATH}:[1-9][0-9]{0,3}[km]`),
);
const BYTE = '(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])';
const V4 = `${BYTE}(?:\\.${BYTE}){3}(?:/(?:[89]|[12][0-9]|3[0-2]))?`;
const V6 = '[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){2,7}(?:/(?:1[6-9]|[2-9][0-9]|1[01][0-9]|12[0-8]))?';
const networks = text('addresses or networks, such as 203.0.113.7,10.8.0.0/16', list(`(?:${V4}|${V6})`));
const hashedPassword = text(
  'what `openssl passwd -6` prints, between single quotes',
  /^\$(?:5|6|apr1)\$[A-Za-z0-9./=$]{20,200}$/,
);

const user = text('the number of a user who is not root', /^[1-9][0-9]{0,5}$/);

/** Compose takes what stands behind a colon for an option. */
const directoryInImage = text(
  'an absolute path without a dot segment',
  /^(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9_@+.~-]+)+$/,
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
  UPLOAD_PATHS: {
    meaning:
      'Paths of the API that take large requests, each with what is below it and the largest size, in k or m, separated by ' +
      'commas. Elsewhere a request has at most 1m.',
    type: uploads,
    default: '/api/v1/uploads:50m',
    readBy: 'docker compose',
  },
  PUBLIC_PATHS: {
    meaning:
      'Paths of the backend outside of /api that visitors reach, such as /webhooks, separated by commas. They are never ' +
      'cached.',
    type: otherPaths,
    readBy: 'docker compose',
  },
  ADMIN_PATHS: {
    meaning:
      'Pages of the backend for administrators, such as /admin/queues, separated by commas. Needs ADMIN_HASHED_PASSWORD or ' +
      'ADMIN_ALLOW; with both, both must fit.',
    type: paths,
    readBy: 'docker compose',
  },
  ADMIN_HASHED_PASSWORD: {
    meaning: 'What `openssl passwd -6` prints for the password of the user `admin`, between single quotes.',
    type: hashedPassword,
    readBy: 'docker compose',
  },
  ADMIN_ALLOW: {
    meaning: 'Addresses and networks of visitors who reach ADMIN_PATHS, separated by commas.',
    type: networks,
    readBy: 'docker compose',
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
  BACKEND_USER: {
    meaning:
      'Number of the user that the backend runs as, and that owns WRITABLE_DIR_1 to _3. Default: the image’s own user, and ' +
      '1000 as the owner.',
    type: user,
    readBy: 'docker compose, deploy, health-check',
  },
  FRONTEND_USER: {
    meaning:
      'Number of the user that the frontend runs as, and that owns its /run and /var/cache/nginx. Default: the image’s own ' +
      'user, and root as the owner.',
    type: user,
    readBy: 'docker compose',
  },
  WRITABLE_DIR_1: {
    meaning:
      'A directory that the backend writes to, such as /app/logs: the root of its file system is read-only. Each instance ' +
      'has its own, in memory, at most 256 MB within its limit of 1 GB. It is empty again when the instance is replaced.',
    type: directoryInImage,
    readBy: 'docker compose',
  },
  WRITABLE_DIR_2: { meaning: 'Another one.', type: directoryInImage, readBy: 'docker compose' },
  WRITABLE_DIR_3: { meaning: 'Another one.', type: directoryInImage, readBy: 'docker compose' },
});
