/* certbot's command line, and what is made of its refusals, which are as certbot 5.5 wrote them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { certbotCommand } from '../../scripts/lib/certificates/certbot.ts';
import { refusal } from '../../scripts/lib/certificates/refusal.ts';
import { loadConfig } from '../../scripts/lib/config/config.ts';

const config = (env: Record<string, string> = {}) =>
  loadConfig('production', { DOMAIN: 'acme.example', ...env });
const words = (env?: Record<string, string>, request = {}) => certbotCommand(config(env), request).join(' ');

test('the container has two volumes and one network, and no port, capability, privilege or socket', () => {
  const text = words();
  assert.equal(
    [...text.matchAll(/--volume (\S+)/g)].map(([, volume]) => volume),
    ['neurmatic-production_letsencrypt:/etc/letsencrypt', 'neurmatic-production_acme:/var/www/acme'],
  );
  for (const part of [
    '--rm ',
    '--read-only',
    '--cap-drop ALL',
    '--security-opt no-new-privileges',
    '--pids-limit',
    '--memory',
    '--network neurmatic-production_edge',
    '--pull never',
  ])
    assert.ok(text.includes(part), part);
  assert.not.match(text, /docker\.sock|--publish|-p |--privileged|--cap-add|--env/);
  assert.is((text.match(/--network/g) ?? []).length, 1);
});

test('all names are asked for, in one ECDSA certificate; the authority, its roots and the address are variables', () => {
  assert.match(
    words(),
    /--domain acme\.example --domain www\.acme\.example --domain api\.acme\.example --register-unsafely-without-email/,
  );
  assert.match(words(), /--key-type ecdsa --server https:\/\/acme-v02\.api\.letsencrypt\.org\/directory/);
  assert.match(words(), /--keep-until-expiring/);
  const own = words(
    {
      ACME_DIRECTORY_URL: 'https://ca.example/dir',
      ACME_CA_FILE: '/srv/ca.pem',
      ACME_EMAIL: 'ops@acme.example',
    },
    { force: true, dryRun: true },
  );
  assert.match(own, /--server https:\/\/ca\.example\/dir/);
  assert.match(own, /--volume \/srv\/ca\.pem:(\S+):ro --env REQUESTS_CA_BUNDLE=\1 /);
  assert.match(own, /--email ops@acme\.example --no-eff-email/);
  assert.match(own, /--force-renewal --dry-run/);
});

const asked = (...problems: string[]) =>
  `Renewing an existing certificate for acme.example and 2 more

Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
${problems.join('\n\n')}

Hint: The Certificate Authority failed to download the temporary challenge files created by Certbot.

Saving debug log to /tmp/logs/letsencrypt.log
Some challenges have failed.
Ask for help or search for solutions at https://community.letsencrypt.org. See the logfile /tmp/logs/letsencrypt.log or re-run Certbot with -v for more details.
`;
const problem = (name: string, type: string, detail: string, title = 'Identifier') =>
  `  ${title}: ${name}\n  Type:   ${type}\n  Detail: ${detail}`;
const failed = (line: string) => `Saving debug log to /tmp/logs/letsencrypt.log
An unexpected error occurred:
${line}
Ask for help or search for solutions at https://community.letsencrypt.org. See the logfile /tmp/logs/letsencrypt.log or re-run Certbot with -v for more details.
`;

const CASES: [what: string, output: string, message: RegExp, hint: RegExp][] = [
  [
    'a name that leads elsewhere',
    asked(problem('www.acme.example', 'connection', 'dial tcp 127.0.0.3:19995: connect: connection refused')),
    /^no certificate was issued: www\.acme\.example: connection: dial tcp .*refused$/,
    /leads to another server, or port 80/,
  ],
  [
    'two names that another server answers, as certbot 4 writes them',
    asked(
      problem('acme.example', 'unauthorized', 'Non-200 status code from HTTP: 404', 'Domain'),
      problem('api.acme.example', 'unauthorized', 'Non-200 status code from HTTP: 404', 'Domain'),
    ),
    /: acme\.example: unauthorized: .* 404; api\.acme\.example: unauthorized: .* 404$/,
    /leads to another server/,
  ],
  [
    'a name without an address',
    asked(problem('www.acme.example', 'dns', 'no valid A records found for www.acme.example')),
    /www\.acme\.example: dns: no valid A records/,
    /correct the DNS records/,
  ],
  [
    'too many requests',
    failed(
      'too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry after 2036-01-01 00:00:00 UTC',
    ),
    /: too many certificates \(5\).*retry after 2036/,
    /each attempt counts/,
  ],
  [
    'an authority that is down',
    failed(
      "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='127.0.0.1', port=9): Max retries exceeded with url: /dir",
    ),
    /: requests\.exceptions\.ConnectionError/,
    /next scheduled renewal tries again/,
  ],
  [
    'a directory with another certificate',
    failed('requests.exceptions.SSLError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed'),
    /CERTIFICATE_VERIFY_FAILED/,
    /ACME_CA_FILE/,
  ],
  [
    'a name that the authority does not serve',
    failed('Order included an identifier for which issuance is forbidden by policy: "api.blocked.example"'),
    /forbidden by policy: "api\.blocked\.example"/,
    /correct DOMAIN and API_DOMAIN/,
  ],
  ['what is not known', 'Saving debug log\nsomething else\n', /: something else$/, /logs\/certificates\.log/],
  ['nothing', '', /certbot gave no reason/, /logs\/certificates\.log/],
];

for (const [what, output, message, hint] of CASES)
  test(`a refusal: ${what}`, () => {
    const error = refusal(output);
    assert.match(error.message, message);
    assert.match(error.hint, hint);
    assert.is(error.exitCode, 1);
  });

test.run();
