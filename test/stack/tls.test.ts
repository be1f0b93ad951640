import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ask, dial, hostOf } from './lib/http.ts';
import { reload } from './lib/puppet.ts';
import { sharedStack } from './lib/shared.ts';
import { observatory, testssl } from './lib/tools.ts';

const stack = await sharedStack();

/** What testssl.sh finds that stays, and why. Anything else of LOW and above fails. */
const ACCEPTED: Record<string, string> = {
  cert_revocation:
    'the bootstrap certificate signs itself, so nobody lists what it revokes; an issued one has a CRL',
};

test('testssl.sh finds nothing but what is listed', async () => {
  const findings = await testssl(stack, hostOf(stack, 'api'));
  assert.ok(findings.length > 100, `${findings.length} findings`);
  const bad = findings.filter(({ severity }) => /LOW|MEDIUM|HIGH|CRITICAL|FATAL/.test(severity));
  assert.equal(
    bad.filter(({ id }) => !(id in ACCEPTED)),
    [],
  );
  const unused = Object.keys(ACCEPTED).filter(id => !bad.some(finding => finding.id === id));
  assert.equal(unused, [], 'accepted, but no longer found');
  const of = (name: string) => findings.find(({ id }) => id === name)?.finding;
  assert.match(`${of('FS_KEMs')}`, 'X25519MLKEM768');
  assert.match(`${of('TLS1_3')}`, 'offered');
  for (const old of ['SSLv2', 'SSLv3', 'TLS1', 'TLS1_1']) assert.match(`${of(old)}`, /^not offered/, old);
});

test('Mozilla’s Observatory gives the site an A+, 130 or more', async () => {
  const scanner = await observatory();
  const nginx = await stack.docker(
    'inspect',
    '--format',
    `{{(index .NetworkSettings.Networks "${stack.app}-${stack.environment}_app").IPAddress}}`,
    stack.container('nginx'),
  );
  const ca = join(stack.directory, 'ca.pem');
  writeFileSync(ca, stack.ca);
  chmodSync(stack.directory, 0o755);
  // In a container beside Nginx, where the site has its own name and ports, and nothing else is reached.
  const script = `
    import { scan } from '/scanner/node_modules/@mdn/mdn-http-observatory/src/scanner/index.js';
    console.log(JSON.stringify(await scan('${stack.domain}')));
  `;
  const output = await stack.docker(
    'run',
    '--rm',
    '--network',
    `${stack.app}-${stack.environment}_app`,
    ...['', 'www.', 'api.'].flatMap(name => ['--add-host', `${name}${stack.domain}:${nginx}`]),
    '--volume',
    `${scanner}:/scanner:ro`,
    '--volume',
    `${ca}:/ca.pem:ro`,
    '--env',
    'NODE_EXTRA_CA_CERTS=/ca.pem',
    stack.variables.BACKEND_IMAGE!,
    'node',
    '--input-type=module',
    '-e',
    script,
  );
  const { scan, tests } = JSON.parse(output.split('\n').at(-1)!);
  const failed = Object.entries<{ pass: boolean }>(tests).filter(([, { pass }]) => !pass);
  assert.equal(
    failed.map(([name]) => name),
    [],
  );
  assert.is(scan.grade, 'A+');
  assert.ok(scan.score >= 130, `score ${scan.score}`);
  console.log(`Observatory: ${scan.grade}, ${scan.score}`);
});

test('HTTP/2 over TLS 1.3 is what a browser gets', async () => {
  const socket = await dial(stack, stack.domain, { ALPNProtocols: ['h2', 'http/1.1'] });
  assert.is(socket.alpnProtocol, 'h2');
  assert.is(socket.getProtocol(), 'TLSv1.3');
  socket.destroy();
});

/** The certificate that a client is shown. */
async function shown() {
  const socket = await dial(stack, stack.domain);
  const { fingerprint256, subjectaltname } = socket.getPeerCertificate();
  socket.destroy();
  return { fingerprint256, names: subjectaltname?.replaceAll('DNS:', '').split(', ').sort() };
}

test('the certificate has every name that is served, and a restart makes no new one', async () => {
  const before = await shown();
  assert.equal(before.names, ['', 'api.', 'www.'].map(name => `${name}${stack.domain}`).sort());
  await stack.compose('restart', 'nginx');
  await stack.compose('up', '--detach', '--wait', '--no-recreate', 'nginx');
  assert.equal(await shown(), before);
});

test('a certificate of an authority in the same place is served after a reload', async () => {
  const own = stack.ca;
  const directory = '/etc/nginx/certificates';
  const inNginx = async (script: string) => {
    const { code, stdout, stderr } = await stack.exec('nginx', 'sh', '-ec', `cd ${directory}; ${script}`);
    assert.is(code, 0, stderr);
    return stdout;
  };
  await inNginx('for file in *.pem; do cp -p $file $file.kept; done');
  try {
    stack.ca = await inNginx(`openssl req -x509 -newkey rsa:2048 -nodes -days 90 -subj /CN=issued \\
      -addext subjectAltName=DNS:${stack.domain} -keyout privkey.pem -out fullchain.pem; cat fullchain.pem`);
    await reload(stack);
    assert.equal((await shown()).names, [stack.domain]);
    assert.is((await ask(stack, 'site', '/')).status, 200);
  } finally {
    await inNginx('for file in *.pem; do mv $file.kept $file; done');
    await reload(stack);
    stack.ca = own;
  }
  assert.is((await ask(stack, 'www', '/')).status, 301, 'the first one is back');
});

test.run();
