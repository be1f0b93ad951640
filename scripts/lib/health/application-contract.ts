/** What of docs/APPLICATION_CONTRACT.md an image or an instance does not keep. Each remark is a line of at most 66 characters. */
import type { Config } from '../config/config.ts';
import type { ImageSettings } from '../docker/image-settings.ts';
import type { Remark } from './check.ts';
import { type Answer, jsonOf } from './http.ts';

/** @returns what harms a deployment as `warning`, what it makes do without as `ok` */
export function backendRemarks({ contract: { ports, backendUser } }: Config, image: ImageSettings): Remark[] {
  const remarks: Remark[] = [];
  if (/^(?:|root|0)(?::|$)/.test(backendUser ?? image.User ?? ''))
    remarks.push(['warning', 'the backend runs as root']);
  const signal = image.StopSignal ?? 'SIGTERM';
  if (/^(?:SIG)?(?:KILL|9)$/.test(signal))
    remarks.push(['warning', `the backend is stopped by ${signal}, which loses its requests`]);
  const command = [...(image.Entrypoint ?? []), ...(image.Cmd ?? [])];
  if (losesSignals(command))
    remarks.push(['warning', `the backend starts by a shell: it may get no ${signal} (exec form, or exec)`]);
  const exposed = portsOf(image);
  if (exposed.length > 0 && !exposed.includes(ports.backend))
    remarks.push(['ok', `the backend exposes ${exposed.join(', ')}; it must heed PORT=${ports.backend}`]);
  return remarks;
}

/** @returns like {@link backendRemarks} */
export function frontendRemarks({ contract: { ports } }: Config, image: ImageSettings): Remark[] {
  const exposed = portsOf(image);
  if (exposed.length === 0 || exposed.includes(ports.frontend)) return [];
  return [['warning', `the frontend exposes ${exposed.join(', ')}, and FRONTEND_PORT is ${ports.frontend}`]];
}

const portsOf = ({ ExposedPorts }: ImageSettings): number[] =>
  Object.keys(ExposedPorts ?? {}).flatMap(port => (/\/udp$/.test(port) ? [] : [Number.parseInt(port, 10)]));

/** Whether a shell or a package manager stays the parent of the application and has to pass signals on. */
function losesSignals(command: string[]): boolean {
  const [program = '', option, script = ''] = command;
  const name = program.split('/').at(-1)!;
  if (['npm', 'yarn', 'pnpm', 'npx'].includes(name)) return true;
  return (
    ['sh', 'bash', 'ash', 'dash'].includes(name) && option === '-c' && !/(?:^|[;&]\s*)exec\s/.test(script)
  );
}

/** @param metrics undefined: METRICS_PATH is none, or nothing answers there */
export function instanceRemarks(
  { contract: { healthPath, readyPath, metricsPath } }: Config,
  answers: { health: Answer; ready: Answer; metrics: Answer | undefined },
): Remark[] {
  const { health, ready, metrics } = answers;
  const remarks: Remark[] = [];
  const lost = (path: string, { status }: Answer, variable: string) =>
    remarks.push(['warning', `${path} answers ${status}: is ${variable} right?`]);
  if (health.status === 404) lost(healthPath, health, 'HEALTH_PATH');
  else if (jsonOf(health).version === undefined)
    remarks.push(['ok', `${healthPath} has no version: images are compared instead`]);
  if (ready.status === 404) lost(readyPath, ready, 'READY_PATH');
  if (metrics?.status === 404) lost(metricsPath!, metrics, 'METRICS_PATH');
  else if (metrics?.status !== 200 || !/^http_requests_in_flight[ {]/m.test(metrics.body)) {
    const where = metricsPath ? `${metricsPath} has no http_requests_in_flight` : 'METRICS_PATH is none';
    remarks.push(['ok', `${where}: drained by Nginx’s connections`]);
  }
  return remarks;
}
