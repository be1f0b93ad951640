/**
 * Stand-ins for the official images that the Compose files name, for a machine that reaches no registry. An image
 * that is present stays as it is; one that can be pulled is pulled; for any other a replacement is built from Debian
 * packages, by the Dockerfile in the directory of its name, under the tag that was asked for. A replacement
 * carries a label with the hash of all that it was made from, so the next run takes it as it is.
 */
import { hash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { whyNoPackages } from '../engine/apt.ts';
import { CACHE, type Engine } from '../engine/engine.ts';
import { attempt, run, say, withLock } from '../engine/process.ts';
import { ensureBase, LABEL, label } from './base.ts';

interface StandIn {
  /** The references that it can stand in for, with the version in a group. */
  ref: RegExp;
  /** The directory beside this file with its Dockerfile. */
  directory: string;
  /** The Debian release whose packages it is made of. */
  suite: string;
  /** Another replacement that it is made from; default: the bare system. */
  from?: string;
  /** What prints its version. */
  version: string[];
  /** Adds to the build context what doesn't come from Debian. */
  prepare?: (context: string) => Promise<void>;
  /** What `prepare` adds, for the hash. */
  adds?: string;
}

const NPM = 'npm@11.21.2';

const STAND_INS: StandIn[] = [
  {
    ref: /^postgres:(15(?:\.\d+)?)-bookworm$/,
    directory: 'postgres',
    suite: 'bookworm',
    version: ['postgres', '--version'],
  },
  {
    ref: /^postgres:(15)-alpine$/,
    directory: 'postgres-alpine',
    suite: 'bookworm',
    from: 'postgres:15.20-bookworm',
    version: ['postgres', '--version'],
  },
  {
    ref: /^redis:(7\.[\d.]+)-bookworm$/,
    directory: 'redis',
    suite: 'bookworm',
    version: ['redis-server', '--version'],
  },
  {
    ref: /^nginx:(1\.30\.\d+)(?:-(?:bookworm|trixie))?$/,
    directory: 'nginx',
    suite: 'sid',
    version: ['nginx', '-v'],
  },
  {
    ref: /^certbot\/certbot:v(5\.[\d.]+)$/,
    directory: 'certbot',
    suite: 'sid',
    version: ['certbot', '--version'],
  },
  {
    ref: /^node:(24\.[\d.]+)-bookworm-slim$/,
    directory: 'node',
    suite: 'bookworm',
    version: ['node', '--version'],
    prepare: addNode,
    adds: `${process.version} ${process.arch} ${NPM}`,
  },
];

/**
 * Makes sure that the engine has each of the images, without looking at a registry for those that are there.
 * @throws if one can neither be pulled nor built, or if a registry answers that it has no such tag.
 */
export async function ensureImages(engine: Engine, refs: string[]): Promise<void> {
  // Side by side, each under a lock of its own: what one waits for, the mirror or a processor, another leaves free.
  const ended = await Promise.allSettled([...new Set(refs)].map(ref => ensureImage(engine, ref)));
  for (const result of ended) if (result.status === 'rejected') throw result.reason;
}

async function ensureImage(engine: Engine, ref: string): Promise<void> {
  const standIn = STAND_INS.find(candidate => candidate.ref.test(ref));
  const wanted = standIn && content(standIn);
  const isThere = async () => {
    const present = await label(engine, ref);
    // An image without the label is a real one.
    return present === '' || (present !== undefined && present === wanted);
  };
  if (await isThere()) return;
  await withLock(join(CACHE, `image-${ref.replaceAll(/[^\w.-]/g, '-')}.lock`), async () => {
    if (await isThere()) return;
    const refusal = await pull(engine, ref);
    if (!refusal) return;
    const obstacle = whyNoPackages();
    if (!standIn || !wanted || obstacle) {
      const why = standIn
        ? `a replacement can't be built because ${obstacle}`
        : 'test/images has no replacement for it';
      throw new Error(`There is no image ${ref}: ${refusal}\nPull it, or load it with docker load; ${why}`);
    }
    await build(engine, ref, standIn, wanted);
  });
}

/** Why the image can't be pulled, or undefined: it was. */
async function pull(engine: Engine, ref: string): Promise<string | undefined> {
  const { code, stderr } = await attempt('docker', ['pull', '--quiet', ref], engine);
  if (code === 0) return undefined;
  if (/manifest unknown|not found: manifest/.test(stderr)) {
    throw new Error(`The registry has no ${ref}\nPin a tag that it has`);
  }
  return stderr.trim().split('\n').at(-1);
}

async function build(engine: Engine, ref: string, standIn: StandIn, wanted: string): Promise<void> {
  const { directory, suite, from, prepare } = standIn;
  if (from) await ensureImage(engine, from);
  const base = from ?? (await ensureBase(engine, suite));
  say(`Building a replacement for ${ref} from Debian ${suite}`);
  const id = async () =>
    (await attempt('docker', ['image', 'inspect', '--format', '{{.Id}}', ref], engine)).stdout.trim();
  const before = await id();
  mkdirSync(CACHE, { recursive: true });
  const context = mkdtempSync(join(CACHE, `${directory}-`));
  try {
    cpSync(join(import.meta.dirname, directory), context, { recursive: true });
    await prepare?.(context);
    const args = ['--build-arg', `BASE=${base}`, '--label', `${LABEL}=${wanted}`, '--tag', ref];
    await run('docker', ['build', '--progress', 'plain', ...args, context], engine);
    // The one that this one replaces has no name any more. Not `image prune`: that takes those of registries, too,
    // which have none either, and carry the label of the image that they are made from.
    if (before && before !== (await id())) await attempt('docker', ['image', 'rm', before], engine);
  } finally {
    rmSync(context, { recursive: true });
  }
  await tellVersion(engine, ref, standIn);
}

/** Says so when the packages hold another version than the tag names. */
async function tellVersion(engine: Engine, ref: string, { version, ref: pattern }: StandIn): Promise<void> {
  const [program = '', ...args] = version;
  const { stdout, stderr } = await attempt(
    'docker',
    ['run', '--rm', '--entrypoint', program, ref, ...args],
    engine,
  );
  const told = (stdout + stderr).trim();
  if (!told.includes(pattern.exec(ref)?.[1] ?? '')) say(`What stands in for ${ref} is ${told}`);
}

/** The hash of everything that makes the replacement, except the packages' versions, which Debian chooses. */
function content({ directory, suite, adds = '' }: StandIn): string {
  const root = join(import.meta.dirname, directory);
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .sort();
  const parts = files.map(file => [file.slice(root.length), readFileSync(file, 'utf8')]);
  return hash('sha256', JSON.stringify([suite, adds, parts])).slice(0, 16);
}

async function addNode(context: string): Promise<void> {
  cpSync(process.execPath, join(context, 'node'), { dereference: true });
  await run('npm', ['pack', '--silent', '--pack-destination', context, NPM]);
  const archive = join(context, `${NPM.replace('@', '-')}.tgz`);
  await run('tar', ['--directory', context, '--extract', '--gzip', '--file', archive]);
  renameSync(join(context, 'package'), join(context, 'npm'));

  // npm in the image reaches its packages the way npm on this machine does; Node itself stays as it is.
  const registry = await run('npm', ['config', 'get', 'registry']);
  const ca = await run('npm', ['config', 'get', 'cafile']);
  const trusts = existsSync(ca);
  writeFileSync(join(context, 'npm-ca.crt'), trusts ? readFileSync(ca) : '');
  const cafile = trusts ? 'cafile=/usr/local/etc/npm-ca.crt\n' : '';
  writeFileSync(join(context, 'npmrc'), `registry=${registry}\n${cafile}`);
}
