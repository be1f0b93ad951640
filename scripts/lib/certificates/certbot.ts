/**
 * certbot, in a container that is removed afterwards: it has no port, no capability and no Docker, a network with Nginx alone,
 * and two volumes. Accounts, keys and earlier certificates stay in its own, `letsencrypt`, which no other container has;
 * Nginx answers the challenges from `acme`.
 */
import type { Config } from '../config/config.ts';
import { CommandError, start } from '../core/shell.ts';
import { runConfined } from '../docker/commands.ts';
import { containerOf, projectOf, removeContainer } from '../docker/containers.ts';
import { pull } from '../docker/images.ts';
import { refusal } from './refusal.ts';

/** Seconds: an authority may take a minute for each name. */
const TIMEOUT = 600;
/** certbot's name of the one certificate. */
const LINEAGE = 'site';

/** Where certbot has its volume, and what `live/` has in it. */
export const LIVE = `/etc/letsencrypt/live/${LINEAGE}`;

/** @returns the name of certbot’s own volume */
export const volumeOf = (config: Config) => `${projectOf(config)}_letsencrypt`;

/** What certbot is asked for. */
export interface Request {
  /** Also when the present certificate is not due. */
  force?: boolean | undefined;
  /** Only tries the whole way, with the authority's test environment where it has one. */
  dryRun?: boolean | undefined;
}

/** certbot's arguments. The same for the first certificate and for a renewal, which it decides itself: ARI, lifetime, names. */
export function certbotArguments({ site, acme }: Config, { force, dryRun }: Request): string[] {
  return [
    ...['certonly', '--non-interactive', '--agree-tos', '--cert-name', LINEAGE],
    ...['--webroot', '--webroot-path', '/var/www/acme', '--key-type', 'ecdsa'],
    ...['--server', acme.directory, ...site.names.flatMap(name => ['--domain', name])],
    ...(acme.email ? ['--email', acme.email, '--no-eff-email'] : ['--register-unsafely-without-email']),
    ...['--renew-with-new-domains', force ? '--force-renewal' : '--keep-until-expiring'],
    ...(dryRun ? ['--dry-run'] : []),
    ...['--work-dir', '/tmp/work', '--logs-dir', '/tmp/logs', '--max-log-backups', '0'],
  ];
}

/*
 * certbot refuses to begin where it was killed between making its directories and their configuration. Both streams go to
 * stderr, which the log keeps.
 */
const RUN = `
cd /etc/letsencrypt
[ -s renewal/${LINEAGE}.conf ] || rm -rf live/${LINEAGE} archive/${LINEAGE} renewal/${LINEAGE}.conf
exec certbot "$@" >&2`;

/** The whole command line. */
export function certbotCommand(config: Config, request: Request): string[] {
  const { acme } = config;
  const project = projectOf(config);
  const authority = '/run/authority.pem';
  const options = [
    ...[
      '--read-only',
      '--tmpfs',
      '/tmp:mode=1777,size=64m',
      '--memory',
      '256m',
      '--cpus',
      '1',
      '--pull',
      'never',
    ],
    ...['--volume', `${volumeOf(config)}:/etc/letsencrypt`, '--volume', `${project}_acme:/var/www/acme`],
    // For Python’s requests: https://requests.readthedocs.io/en/latest/user/advanced/#ssl-cert-verification
    ...(acme.caFile
      ? ['--volume', `${acme.caFile}:${authority}:ro`, '--env', `REQUESTS_CA_BUNDLE=${authority}`]
      : []),
    ...['--entrypoint', 'sh'],
  ];
  const name = containerOf(config, 'certbot');
  const args = certbotArguments(config, request);
  return runConfined(name, `${project}_edge`, options, acme.image, '-c', RUN, 'sh', ...args);
}

/**
 * Has certbot request a certificate if there is none, or the present one is due or for other names.
 *
 * @throws OperationalError with the authority's reason when it refuses, or can't be reached
 */
export async function runCertbot(config: Config, request: Request): Promise<void> {
  await pull(config.acme.image);
  const name = containerOf(config, 'certbot');
  await removeContainer(name); // left by a killed run
  try {
    await start(certbotCommand(config, request), { purpose: 'request a certificate', timeout: TIMEOUT });
  } catch (error) {
    throw error instanceof CommandError ? refusal(error.stderr) : error;
  } finally {
    await removeContainer(name);
  }
}
