/**
 * What scripts/certificates.ts sees of Docker, as a program on PATH: its shell scripts run here, on directories in the place
 * of the volumes; `nginx -s reload` has a TLS server of this process load the two files. Certificates and refusals of the
 * authority are what a test puts there. The real containers, Nginx, certbot and authority: test/stack/certificates.test.ts.
 */

import { X509Certificate } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createSecureContext, createServer, type Server } from 'node:tls';
import { type Config, loadConfig } from '../../../scripts/lib/config/config.ts';
import { nginxSettings } from '../../../scripts/lib/nginx/settings.ts';
import { type Authority, authority, issue } from './authority.ts';

export const NAMES = ['acme.example', 'www.acme.example', 'api.acme.example'];

/*
 * $1… is a command of Docker. Each is noted in `calls`; where `kill-at` names its number, the script that gave it is killed
 * before (-N) or after (+N) it has run.
 */
const DOCKER = `#!/bin/bash
here=HERE
echo "$*" | tr '\\n' ' ' >>"$here/calls"; echo >>"$here/calls"
number=$(wc -l <"$here/calls")
end() { kill -9 "$(cat "$here/pid")"; sleep 20; exit 1; }
[ "$(cat "$here/kill-at" 2>/dev/null)" = "-$number" ] && end
[ "$(cat "$here/kill-at" 2>/dev/null)" = "+$number" ] && trap end EXIT
on() { # a script, with the directories of this test
  local script=\${1//\\/etc\\/nginx\\/certificates/$here/certificates}
  script=\${script//\\/etc\\/letsencrypt/$here/letsencrypt}
  script=\${script//\\/etc\\/nginx\\/site\\/bootstrap-certificate.sh/$here/bootstrap.sh}
  script=\${script//cd \\/certificates/cd $here/certificates}
  PATH="$here/bin:$PATH" sh -c "$script"
}
case "$1 $2" in
'container ls') echo id;;
'container inspect') case "$*" in
  *json\\ .Config.Env*) cat "$here/variables";;
  *) cat "$here/nginx.json";;
  esac;;
'volume ls') [ ! -d "$here/letsencrypt" ] || echo volume;;
'image inspect') echo sha256:image;;
'rm --force') [ ! -e "$here/removing" ] || { rm "$here/removing"; echo 'Error response from daemon: removal of container x is already in progress' >&2; exit 1; };;
'exec '*)
  case "$5" in
  *'nginx -s reload'*) [ ! -e "$here/no-reload" ] || { echo 'the old workers still accept connections' >&2; exit 1; }
    [ -e "$here/deaf" ] || cp -L "$here"/certificates/*.pem "$here/loaded/";;
  *) on "$5";;
  esac;;
'run '*)
  case "$*" in
  *certonly*)
    [ ! -e "$here/refusal" ] || { cat "$here/refusal" >&2; exit 1; }
    [ ! -e "$here/next/fullchain.pem" ] || { mkdir -p "$here/letsencrypt/live/site"; cp "$here"/next/*.pem "$here/letsencrypt/live/site/"; };;
  *) on "\${@: -1}";;
  esac;;
*) echo "the stub knows no docker $*" >&2; exit 1;;
esac
`;

export interface CertificatesWorld {
  directory: string;
  config: Config;
  /** The variables that the configuration is made of. */
  env: Record<string, string>;
  root: Authority;
  intermediate: Authority;
  /** What certbot finds at its next run: PEM, and the file with the key. */
  next: (fullchain: string, keyFile: string) => void;
  /** A certificate of the authority, for all names unless told, and its key’s file. */
  make: (wishes?: Partial<Parameters<typeof issue>[2]> & { chain?: Authority[] }) => {
    fullchain: string;
    keyFile: string;
    serial: string;
  };
  /** What certbot writes when it fails; undefined: it does not. */
  refuse: (output: string | undefined) => void;
  /** A condition of the stub: `deaf` (a reload loads nothing), `no-reload` (it fails). */
  set: (condition: 'deaf' | 'no-reload' | 'nginx-refuses' | 'removing', value: boolean) => void;
  calls: () => string[];
  /** Kills the process before (−) or after its nth command of Docker; undefined: not. */
  killAt: (pid: number, call: number | undefined) => void;
  /** Sets another DOMAIN, and where wanted gives Nginx's container its variables. @returns the configuration */
  rename: (domain: string, replaced: boolean) => Config;
  /** The serial that a visitor of a name is shown. */
  served: (name?: string) => Promise<string>;
  stop: () => Promise<void>;
}

export async function certificatesWorld(): Promise<CertificatesWorld> {
  const directory = mkdtempSync(join(tmpdir(), 'certificates-'));
  const path = (...names: string[]) => join(directory, ...names);
  for (const name of ['certificates', 'loaded', 'bin', 'next', 'made', 'state', 'logs'])
    mkdirSync(path(name));
  writeFileSync(path('bin/docker'), DOCKER.replaceAll('HERE', directory));
  // `nginx -t`: that openssl can load the pair that the configuration names, or the one in place.
  writeFileSync(
    path('bin/nginx'),
    `#!/bin/sh
if [ -e ${path('nginx-refuses')} ] && [ "$*" = '-t -q' ]; then echo 'nginx: [emerg] refused' >&2; exit 1; fi
[ "$*" != '-t -q' ] || exit 0
chain=$(sed -n 's/.*ssl_certificate \\(.*\\);/\\1/p' "$4") key=$(sed -n 's/.*ssl_certificate_key \\(.*\\);/\\1/p' "$4")
[ "$(openssl x509 -in "$chain" -noout -pubkey)" = "$(openssl pkey -in "$key" -pubout)" ] || { echo 'nginx: [emerg] key mismatch' >&2; exit 1; }
`,
  );
  for (const name of ['docker', 'nginx']) chmodSync(path('bin', name), 0o755);
  const root = authority(path('made'), 'Root');
  const intermediate = authority(path('made'), 'Intermediate', root);
  copyFileSync(root.file, path('roots.pem'));

  let count = 0;
  const make: CertificatesWorld['make'] = ({ chain = [intermediate], ...wishes } = {}) => {
    const { certificate, file } = issue(path('made'), `leaf-${++count}`, {
      names: NAMES,
      issuer: intermediate,
      ...wishes,
    });
    return {
      fullchain: certificate + chain.map(each => each.certificate).join(''),
      keyFile: `${file}.key`,
      serial: new X509Certificate(certificate).serialNumber,
    };
  };
  // What the first start of Nginx leaves.
  const first = make({ issuer: root, chain: [] });
  writeFileSync(path('certificates/fullchain.pem'), first.fullchain);
  copyFileSync(first.keyFile, path('certificates/privkey.pem'));
  for (const name of ['fullchain.pem', 'privkey.pem'])
    copyFileSync(path('certificates', name), path('loaded', name));

  const server: Server = createServer({
    SNICallback: (_, done) => {
      const [cert, key] = ['fullchain.pem', 'privkey.pem'].map(name => readFileSync(path('loaded', name)));
      done(null, createSecureContext({ cert: cert!, key: key! }));
    },
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  const { port } = server.address() as AddressInfo;
  process.env.PATH = `${path('bin')}:${process.env.PATH}`;
  const env = {
    DOMAIN: NAMES[0]!,
    ACME_CA_FILE: path('roots.pem'),
    HTTPS_PORT: String(port),
    STATE_DIR: path('state'),
    LOG_DIR: path('logs'),
  };
  const config = loadConfig('production', env);
  const replace = (by: Config) => {
    const variables = Object.entries(nginxSettings(by)).map(([name, value]) => `${name}=${value}`);
    writeFileSync(path('variables'), JSON.stringify(variables));
  };
  replace(config);
  const state = { Status: 'running', ExitCode: 0, OOMKilled: false, StartedAt: new Date().toISOString() };
  writeFileSync(
    path('nginx.json'),
    JSON.stringify({
      name: 'nginx',
      image: 'nginx',
      imageId: 'sha256:image',
      labels: {},
      state,
      restarts: 0,
      memory: 0,
      networks: {},
    }),
  );
  const toggle = (name: string, value: boolean) =>
    value ? writeFileSync(path(name), '') : rmSync(path(name), { force: true });
  return {
    directory,
    config,
    env,
    root,
    intermediate,
    make,
    next: (fullchain, keyFile) => {
      writeFileSync(path('next/fullchain.pem'), fullchain);
      copyFileSync(keyFile, path('next/privkey.pem'));
    },
    refuse: output =>
      output === undefined ? toggle('refusal', false) : writeFileSync(path('refusal'), output),
    set: toggle,
    killAt: (pid, call) => {
      rmSync(path('calls'), { force: true });
      writeFileSync(path('pid'), String(pid));
      if (call === undefined) rmSync(path('kill-at'), { force: true });
      else writeFileSync(path('kill-at'), call < 0 ? String(call) : `+${call}`);
    },
    rename: (domain, replaced) => {
      const other = loadConfig('production', { ...env, DOMAIN: domain });
      if (replaced) replace(other);
      return other;
    },
    calls: () => readFileSync(path('calls'), 'utf8').split('\n').filter(Boolean),
    served: (name = NAMES[0]!) =>
      new Promise((resolve, reject) => {
        const socket = connect(
          { host: '127.0.0.1', port, servername: name, rejectUnauthorized: false },
          () => {
            resolve(socket.getPeerX509Certificate()!.serialNumber);
            socket.destroy();
          },
        );
        socket.on('error', reject);
      }),
    stop: async () => {
      server.close();
      rmSync(directory, { recursive: true });
    },
  };
}
