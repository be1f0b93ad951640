/** The certificates of a stack: an authority of the test, the script, and what visitors are shown. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { certificates as group } from '../../../scripts/lib/config/stack-variables.ts';
import { ensureImages } from '../../images/images.ts';
import { startPebble, type Wishes } from '../../support/certificates/pebble.ts';
import { startProgram } from '../../support/core/world.ts';
import { type Receiver, startReceiver } from '../../support/notify/receiver.ts';
import { dial } from './http.ts';
import { reload } from './puppet.ts';
import { envFile, type Stack } from './stack.ts';

type Env = Record<string, string>;

export async function certificatesOf(stack: Stack, wishes: Pick<Wishes, 'validity' | 'reuse'> = {}) {
  await ensureImages(stack.engine, [group.CERTBOT_IMAGE.default]);
  const directory = mkdtempSync(join(tmpdir(), 'certificates-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const project = `${stack.app}-${stack.environment}`;
  const format = '{{(index .IPAM.Config 0).Gateway}}';
  const address = await stack.docker('network', 'inspect', '--format', format, `${project}_edge`);
  const pebble = await startPebble(directory, {
    address,
    httpPort: stack.httpPort,
    ...wishes,
  });
  stack.atExit(['volume', 'rm', '--force', `${project}_letsencrypt`]);
  const receiver: Receiver = await startReceiver();
  const settings: Env = {
    ACME_DIRECTORY_URL: pebble.url,
    ACME_CA_FILE: pebble.caFile,
    WEBHOOK_URL: receiver.url,
    STATE_DIR: join(directory, 'state'),
    LOG_DIR: join(directory, 'logs'),
  };
  const env: Env = { ...(stack.engine.env as Env), ...stack.variables, ...settings };
  const start = (args: string[], extra: Env = {}) =>
    startProgram(join(stack.directory, 'scripts/certificates.ts'), args, { ...env, ...extra });
  const run = (...args: string[]) => start(args).ended;
  const { PATH, HOME, DOCKER_HOST } = stack.engine.env as Env;
  /**
   * Runs the job as cron does: the line of the crontab, with the env file and nothing else.
   * @param at minute, hour, day, month and weekday in UTC, as the line asks `date` for them
   */
  const runJob = async (at: string) => {
    const envPath = join(stack.directory, `.env.${stack.environment}`);
    const text = readFileSync(envPath, 'utf8');
    writeFileSync(envPath, text + envFile(settings));
    try {
      const script = join(stack.directory, 'scripts/schedule.ts');
      const { stdout, stderr } = await startProgram(script, ['print'], { PATH: PATH! }).ended;
      const command = /^# certificates: .*\n(?:\S+ ){5}(.*)$/m.exec(stdout)?.[1];
      assert.ok(command, stderr);
      const bin = join(directory, 'clock');
      mkdirSync(bin, { recursive: true });
      writeFileSync(join(bin, 'date'), `#!/bin/sh\necho ${at}\n`, { mode: 0o755 });
      const line = command.replaceAll('\\%', '%');
      return await startProgram('/bin/sh', ['-c', line], {
        ...{ HOME: HOME!, DOCKER_HOST: DOCKER_HOST!, PATH: `${bin}:${PATH}` },
      }).ended;
    } finally {
      writeFileSync(envPath, text);
    }
  };
  const inNginx = async (script: string) => {
    const { code, stdout, stderr } = await stack.exec(
      'nginx',
      'sh',
      '-ec',
      `cd /etc/nginx/certificates\n${script}`,
    );
    assert.is(code, 0, stderr);
    return stdout;
  };
  await inNginx('mkdir -p /tmp/before; cp fullchain.pem privkey.pem /tmp/before/');
  const stop = async () => {
    await pebble.stop();
    await receiver.stop();
  };
  return {
    directory,
    pebble,
    receiver,
    env,
    /** The authority, for a script that is started in another way. */
    settings,
    start,
    run,
    runJob,
    /** What the jobs have written. */
    cronLog: () => readFileSync(join(settings.LOG_DIR!, 'cron.log'), 'utf8'),
    inNginx,
    /** What visitors are shown. */
    async shown(name = stack.domain) {
      const socket = await dial(stack, name, { rejectUnauthorized: false });
      const certificate = socket.getPeerX509Certificate()!;
      socket.destroy();
      return {
        serial: certificate.serialNumber,
        issuer: certificate.issuer,
        pem: certificate.toString(),
      };
    },
    /** An address at which nobody listens on the port of the challenges. */
    elsewhere: () =>
      stack.docker(
        ...['inspect', '--format', `{{(index .NetworkSettings.Networks "${project}_app").IPAddress}}`],
        stack.container('frontend'),
      ),
    async status() {
      const { code, stdout } = await run('status', '--json');
      return { code, json: JSON.parse(stdout) };
    },
    /** Leaves the stack as it was. */
    async restore() {
      await inNginx(`rm -rf fullchain.pem privkey.pem current previous pair-*
        cp /tmp/before/fullchain.pem /tmp/before/privkey.pem .; rm -r /tmp/before`);
      await reload(stack);
      await stop();
      await stack.docker('volume', 'rm', '--force', `${project}_letsencrypt`);
    },
    stop,
  };
}
