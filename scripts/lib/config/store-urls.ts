/** DATABASE_URL and REDIS_URL, the application's connections to the stores of the stack, made of their parts. */
import { percentEncoded } from '../core/format.ts';
import type { Config } from './config.ts';

export type UrlName = 'DATABASE_URL' | 'REDIS_URL';

/** Of the contract: as many connections of each backend as `max_connections` of the Compose files has room for. */
const DEFAULT_OPTIONS = 'connection_limit=20';

/** Redis' user where a URL names none. */
const DEFAULT_USER = 'default';

/** What a URL says. */
interface Target {
  protocol: string[];
  /** The service's name in the Compose files. */
  host: string;
  port: number;
  user: string;
  password: string;
  path: string;
}

export interface UrlState {
  name: UrlName;
  /** What the file should have; undefined: a part is missing, or the server is not the stack's. */
  right?: string;
  /**
   * `right`: says what the parts say, however it is encoded. `rotating`: has the second login of a rotation, see
   * {@link secondLoginOf}. `own`: names another server than the stack's, which is the operator's decision. `apart`: the server is
   * not the stack's, and nothing can be said.
   */
  is: 'right' | 'rotating' | 'own' | 'apart' | 'missing' | 'wrong';
  /** Variables without a value that it is made of. */
  lacks: string[];
}

/** Bytes of the longest name of a role (NAMEDATALEN − 1). */
const LONGEST = 63;
const SUFFIX = '_rotating';

/** @returns the name of the login that acts as a role while the role's password is replaced */
export const secondLoginOf = (role: string): string => role.slice(0, LONGEST - SUFFIX.length) + SUFFIX;

/** @returns how each URL of the configuration compares with its parts */
export function urlStates(config: Config): UrlState[] {
  const { urls, redisPassword = '', postgres } = config;
  const { user, password, passwordName } = databaseUser(config);
  const database: Target = {
    protocol: ['postgresql:', 'postgres:'],
    host: 'postgres',
    port: 5432,
    user,
    password,
    path: postgres.database,
  };
  const redis: Target = {
    protocol: ['redis:'],
    host: 'redis',
    port: 6379,
    user: '',
    password: redisPassword,
    path: '',
  };
  const options = urls.options ?? DEFAULT_OPTIONS;
  return [
    postgres.container
      ? stateOf('DATABASE_URL', urls.database, database, passwordName, options, urls.options)
      : { name: 'DATABASE_URL', is: urls.database ? 'apart' : 'missing', lacks: [] },
    stateOf('REDIS_URL', urls.redis, redis, 'REDIS_PASSWORD', '', undefined),
  ];
}

/** @returns the user that the application connects as, and the variable that its password comes from */
export function databaseUser({ postgres, roles: { app } }: Config) {
  return app.password
    ? { user: app.name, password: app.password, passwordName: 'APP_DB_PASSWORD' }
    : { user: postgres.user, password: postgres.password ?? '', passwordName: 'POSTGRES_PASSWORD' };
}

/** @param given the options that the URL must have; undefined: those that it has are right */
function stateOf(
  name: UrlName,
  url: string | undefined,
  target: Target,
  passwordName: string,
  options: string,
  given: string | undefined,
): UrlState {
  if (target.password === '')
    return { name, is: isOwn(url, target.host) ? 'own' : 'missing', lacks: [passwordName] };
  const right = urlOf(target, options);
  const is = !url
    ? 'missing'
    : agrees(url, target, given)
      ? 'right'
      : isRotating(url, target)
        ? 'rotating'
        : isOwn(url, target.host)
          ? 'own'
          : 'wrong';
  return { name, right, is, lacks: [] };
}

function urlOf({ protocol, host, port, user, password, path }: Target, options: string): string {
  const login = `${percentEncoded(user)}:${percentEncoded(password)}`;
  const place = `${host}:${port}${path === '' ? '' : `/${pathOf(path)}`}`;
  return `${protocol[0]}//${login}@${place}${options === '' ? '' : `?${options}`}`;
}

/** node-postgres decodes a path with decodeURI, which leaves these encoded. Raw, they are as legal, and say the same to all. */
const pathOf = (name: string) => percentEncoded(name).replace(/%(?:26|2B|2C|3A|3B|3D)/g, decodeURIComponent);

/** All that RFC 3986 allows before the `@`: what else is there, two programs may read differently. */
const CLEAR = /^[a-z]+:\/\/[\w.~%!$&'()*+,;=:-]*@[\w.:-]+(?:\/[^/?#]*)?(?:\?[^#]*)?$/i;

function agrees(url: string, target: Target, options: string | undefined): boolean {
  if (!CLEAR.test(url) || !URL.canParse(url)) return false;
  const { protocol, hostname, port, username, password, pathname, search } = new URL(url);
  return (
    target.protocol.includes(protocol) &&
    hostname === target.host &&
    (port === '' || Number(port) === target.port) &&
    (decoded(username) || DEFAULT_USER) === (target.user || DEFAULT_USER) &&
    decoded(password) === target.password &&
    (target.path === '' || decoded(pathname.slice(1)) === target.path) &&
    (options === undefined || search.slice(1) === options)
  );
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Whether a URL is that of a rotation which is not finished. */
const isRotating = (url: string, { user, host }: Target): boolean =>
  URL.canParse(url) &&
  new URL(url).hostname === host &&
  user !== '' &&
  decoded(new URL(url).username) === secondLoginOf(user);

/** Whether a URL names another server. One that was written by hand can have a raw `@` or `/` in its password. */
function isOwn(url: string | undefined, host: string): boolean {
  if (!url || new RegExp(`@${host}(?:[:/?#]|$)`).test(url)) return false;
  return URL.canParse(url) && new URL(url).hostname !== '' && new URL(url).hostname !== host;
}
