/** The certificate's line of the report, with each fault of a certificate. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { healthOf } from './lib/health.ts';
import { reload } from './lib/puppet.ts';
import { sharedStack } from './lib/shared.ts';

const stack = await sharedStack();
const { authority, untilTurned, withFault } = await healthOf(stack);

const DAY = 86_400_000;
/** A certificate ends so much before its whole day: what is left is then no round number, however quick the machine is. */
const BEFORE = DAY / 48;

/**
 * Replaces the certificate in the volume by a self-signed one, and trusts it. By a rename, as certificates.ts does: at a
 * reload Nginx keeps a certificate whose file has the same inode and the same second of change.
 */
async function issue(
  fromDays: number,
  toDays: number,
  names = [stack.domain, `www.${stack.domain}`, `api.${stack.domain}`],
): Promise<void> {
  const at = (days: number) => {
    const text = new Date(Date.now() + days * DAY - BEFORE).toISOString();
    return `${text.slice(0, 19).replace(/[-:T]/g, '')}Z`;
  };
  writeFileSync(
    authority,
    await inCertificates(
      `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \\
        -not_before ${at(fromDays)} -not_after ${at(toDays)} -subj '/O=A test/CN=${names[0]}' \\
        -addext subjectAltName=${names.map(name => `DNS:${name}`).join()} -keyout privkey.new -out fullchain.new
      mv privkey.new privkey.pem; mv fullchain.new fullchain.pem
      cat fullchain.pem`,
    ),
  );
}

async function inCertificates(script: string): Promise<string> {
  const { code, stdout, stderr } = await stack.exec(
    ...(['nginx', 'sh', '-ec', `cd /etc/nginx/certificates; ${script}`] as const),
  );
  assert.is(code, 0, stderr);
  return stdout;
}

/** Runs `body`, which may replace the certificate, and puts the previous one back. */
const withCertificates = (body: () => Promise<void>) =>
  withFault(
    () => inCertificates('for file in *.pem; do cp -p $file $file.kept; done'),
    async () => {
      await inCertificates('for file in *.pem; do mv $file.kept $file; done');
      writeFileSync(authority, stack.ca);
      await reload(stack);
    },
    body,
  );

test('certificates: near the end of the lifetime, expired, not valid yet, for other names', () =>
  withCertificates(async () => {
    const cases: [fromDays: number, toDays: number, status: string, message: RegExp][] = [
      [-60, 30, 'ok', /^valid for 29 d .* more; issued by A test$/],
      [-70, 20, 'warning', /^valid for 19 d .* more, 22 % of its lifetime$/],
      [-5, 1, 'warning', /^valid for 23 h .* more, 16 % of its lifetime$/], // one of six days, on its last
      [-85, 5, 'critical', /^valid for 4 d .* more, 5 % of its lifetime$/],
      [-90, -1, 'critical', /^it expired 1 d .*ago$/],
      [1, 90, 'critical', /^it is not valid before /],
    ];
    for (const [fromDays, toDays, status, message] of cases) {
      await issue(fromDays, toDays);
      await reload(stack);
      const now = await untilTurned(status === 'ok' ? {} : { certificate: status });
      assert.match(now.services.certificate!.message, message);
    }
    await issue(-1, 89, [stack.domain, `www.${stack.domain}`]);
    await reload(stack);
    const now = await untilTurned({ api: 'critical', certificate: 'critical' });
    assert.match(now.services.certificate!.message, /^it is not for api\./);
    assert.match(now.services.certificate!.hint!, /certificates\.ts issue` requests one for DOMAIN/);
    assert.match(now.services.api!.message, /^the certificate is not for api\./);
  }));

test('certificates: one that is self-signed, and one that Nginx has not loaded', () =>
  withCertificates(async () => {
    await issue(-1, 89);
    await reload(stack);
    await untilTurned({});
    const untrusted = await untilTurned({ certificate: 'warning' }, { NODE_EXTRA_CA_CERTS: '' });
    assert.match(untrusted.services.certificate!.message, /^it is self-signed/);
    const shown = readFileSync(authority, 'utf8');
    await issue(-1, 89);
    appendFileSync(authority, shown);
    const now = await untilTurned({ certificate: 'warning' });
    assert.match(
      now.services.certificate!.message,
      /^Nginx shows another certificate than fullchain\.pem.*reload Nginx$/,
    );
  }));

test.run();
