/** Authorities and certificates of the tests, made by openssl. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Authority {
  /** PEM. */
  certificate: string;
  /** Its path; the key is beside it, as `.key`. */
  file: string;
}

const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe', encoding: 'utf8' });
const ECDSA = ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
const DAY = 86_400_000;

/** @param days from now @returns the time as openssl takes it */
const at = (days: number) =>
  `${new Date(Date.now() + days * DAY).toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`;

/**
 * @param issuer by default it signs itself
 * @param to days until its end
 */
export function authority(
  directory: string,
  name: string,
  issuer?: Authority,
  id = name,
  to = 3650,
): Authority {
  const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
  const { certificate, file } = sign(directory, id.replaceAll(' ', '-'), {
    subject: `/CN=${name}`,
    extensions,
    from: -30,
    to,
    issuer,
  });
  return { certificate, file };
}

interface Wanted {
  names: string[];
  issuer: Authority;
  /** Days from now. */
  from?: number;
  to?: number;
  /** What follows `-newkey`. */
  key?: string[];
  extensions?: string[];
}

/** A certificate of a server. @returns PEM, and where its files are: `.pem` and `.key` */
export function issue(
  directory: string,
  id: string,
  { names, extensions = [], from = -1, to = 89, ...rest }: Wanted,
) {
  const own = names.length > 0 ? [`subjectAltName=${names.map(name => `DNS:${name}`).join()}`] : [];
  const usage = extensions.some(each => each.startsWith('extendedKeyUsage'))
    ? []
    : ['extendedKeyUsage=serverAuth'];
  const subject = `/CN=${names[0] ?? 'acme.example'}`;
  return sign(directory, id, { ...rest, from, to, subject, extensions: [...own, ...usage, ...extensions] });
}

interface Request {
  subject: string;
  extensions: string[];
  from: number;
  to: number;
  issuer: Authority | undefined;
  key?: string[];
}

/** `openssl ca`, because `x509 -req` of OpenSSL 3.0 takes no dates. */
function sign(
  directory: string,
  id: string,
  { subject, extensions, from, to, issuer, key = ECDSA }: Request,
) {
  const file = join(directory, `${id}.pem`);
  const keyFile = `${file}.key`;
  const settings = join(directory, `${id}.cnf`);
  writeFileSync(join(directory, 'index.txt'), '');
  writeFileSync(
    settings,
    [
      '[ca]',
      'default_ca=own',
      '[own]',
      `database=${join(directory, 'index.txt')}`,
      `new_certs_dir=${directory}`,
      'rand_serial=yes',
      'default_md=sha256',
      'unique_subject=no',
      'policy=any',
      'x509_extensions=extensions',
      '[any]',
      'commonName=optional',
      '[extensions]',
      ...extensions,
      '',
    ].join('\n'),
  );
  const request = join(directory, `${id}.csr`);
  openssl('req', '-new', '-nodes', '-newkey', ...key, '-subj', subject, '-keyout', keyFile, '-out', request);
  const signer = issuer
    ? ['-cert', issuer.file, '-keyfile', `${issuer.file}.key`]
    : ['-selfsign', '-keyfile', keyFile];
  const dates = ['-startdate', at(from), '-enddate', at(to)];
  openssl('ca', '-batch', '-notext', '-config', settings, ...signer, ...dates, '-in', request, '-out', file);
  return {
    file,
    certificate: readFileSync(file, 'utf8'),
    publicKey: openssl('pkey', '-in', keyFile, '-pubout'),
  };
}
