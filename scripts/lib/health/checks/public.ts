import type { Config } from '../../config/config.ts';
import type { Site } from '../../config/site.ts';
import { containerOf } from '../../docker/containers.ts';
import { describeMaintenance, readMaintenance } from '../../nginx/maintenance.ts';
import type { Check, Finding } from '../check.ts';
import { type Answer, ask } from '../http.ts';
import { notReady } from './backends.ts';

/** The API as clients reach it: by its name, over TLS, through Nginx. */
export const api = (config: Config): Check =>
  visit(config, 'api', config.contract.readyPath, () => undefined);

export const frontend = (config: Config): Check =>
  visit(config, 'frontend', '/', ({ headers, body }) =>
    /text\/html/.test(headers['content-type'] ?? '') && /<html/i.test(body)
      ? undefined
      : `it answers 200 with ${headers['content-type'] ?? 'no content type'} instead of an HTML page`,
  );

/** @param problem what is wrong with an answer of 200 */
function visit(
  config: Config,
  part: 'api' | 'frontend',
  path: string,
  problem: (answer: Answer) => string | undefined,
): Check {
  return {
    name: part,
    run: async () => {
      const host = config.site[part satisfies keyof Site];
      const hint = `docker logs --tail 50 ${containerOf(config, 'nginx')}`;
      const address = '127.0.0.1';
      const answer = await ask({ address, port: config.httpsPort, path, host, tls: true, hint });
      return { ...assess(answer, host, problem(answer)), value: Math.round(answer.ms), unit: 'ms' };
    },
  };
}

function assess(answer: Answer, host: string, problem: string | undefined): Finding {
  if (answer.wrongName)
    return { status: 'critical', message: `the certificate is not for ${host}: ${answer.wrongName}` };
  const maintenance = readMaintenance();
  // Other errors are no maintenance; 200 is for those who may pass.
  if (maintenance && [200, 503].includes(answer.status))
    return {
      status: 'warning',
      message: `maintenance mode: ${describeMaintenance(maintenance)}`,
      hint: '`./scripts/maintenance.ts off` ends it.',
    };
  if (answer.status !== 200) return { status: 'critical', message: `https://${host} is ${notReady(answer)}` };
  if (problem) return { status: 'critical', message: `https://${host}: ${problem}` };
  return { status: 'ok', message: `https://${host} answers in ${Math.round(answer.ms)} ms` };
}
