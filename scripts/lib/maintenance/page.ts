/** The maintenance page as visitors are shown it. */
import type { Config } from '../config/config.ts';
import { messageOf, verificationError } from '../core/errors.ts';
import { refuseUnfinishedData } from '../deploy/journal.ts';
import { containerOf } from '../docker/containers.ts';
import { ask } from '../health/http.ts';
import {
  describeMaintenance,
  parseVisitors,
  readMaintenance,
  refuseUnwritableSwitch,
  switchOff,
  switchOn,
} from '../nginx/maintenance.ts';

/** What Nginx answers to this server for the start page of a name. */
interface Shown {
  host: string;
  /** null: nothing. */
  status: number | null;
  /** Why there is no answer. */
  problem?: string;
}

/**
 * @param allow addresses of those who may pass, separated by commas
 * @throws a usage error for what is no address; OperationalError where this user can't switch it on
 */
export async function pageOn(config: Config, allow: string | undefined) {
  const allowed = allow === undefined ? [] : parseVisitors(allow);
  await refuseUnwritableSwitch();
  await switchOn(allowed);
  return pageStatus(config);
}

/** @throws OperationalError while a rollback of the database is unfinished, whose visitors would write what is lost */
export async function pageOff(config: Config) {
  refuseUnfinishedData(config);
  await refuseUnwritableSwitch();
  await switchOff();
  return pageStatus(config);
}

/**
 * @returns whether the page is on, and what Nginx answers
 * @throws exit code 3 where Nginx shows it although it is off, or does not although it is on
 */
export async function pageStatus(config: Config) {
  const maintenance = readMaintenance();
  const { api, frontend } = config.site;
  const shown = await Promise.all([frontend, api].map(host => look(config, host)));
  const text = [
    `maintenance page: ${maintenance ? describeMaintenance(maintenance) : 'off'}`,
    ...shown.map(
      ({ host, status, problem }) => `  https://${host} ${status ? `answers ${status}` : problem}`,
    ),
  ].join('\n');
  const isWrong = ({ host, status }: Shown) =>
    // Nginx has no start page of the API: without the page it says 404 itself. The site's may be its frontend's 503.
    status !== null && (maintenance ? status !== 503 : status === 503 && host === api);
  const wrong = shown.find(isWrong);
  if (wrong)
    throw verificationError(
      `the maintenance page is ${maintenance ? 'on' : 'off'}, but https://${wrong.host} answers ${wrong.status} to this server`,
      `see which nginx/ the container has: docker inspect --format '{{range .Mounts}}{{println .Source}}{{end}}' ${containerOf(config, 'nginx')}. It must be that of this directory; and no address of this server may pass.`,
    );
  const { since = null, allowed = [] } = maintenance ?? {};
  return { text, json: { on: maintenance !== undefined, since, allowed, answers: shown } };
}

async function look({ httpsPort }: Config, host: string): Promise<Shown> {
  try {
    const { status } = await ask({
      address: '127.0.0.1',
      port: httpsPort,
      path: '/',
      host,
      tls: true,
      hint: '',
    });
    return { host, status };
  } catch (error) {
    return { host, status: null, problem: messageOf(error) };
  }
}
