/** The newest certificate of certbot’s volume, and one-off containers that read it. */
import type { Config } from '../config/config.ts';
import { run, sh } from '../core/shell.ts';
import { runConfined } from '../docker/commands.ts';
import { containerOf, projectOf, removeContainer } from '../docker/containers.ts';
import { LIVE, volumeOf } from './certbot.ts';
import { copyPair } from './volume.ts';

/** A certificate of certbot's volume. */
export interface Issued {
  /** PEM. */
  fullchain: string;
  /** PEM, of the public half of the private key, which does not leave its volume. */
  publicKey: string;
}

const READ = `
[ -s ${LIVE}/fullchain.pem ] || exit 0
cat ${LIVE}/fullchain.pem
openssl pkey -in ${LIVE}/privkey.pem -pubout 2>/dev/null || true`;

/** @returns whether certbot has ever run here */
export async function hasAccount(config: Config): Promise<boolean> {
  const name = volumeOf(config);
  return (
    (await sh(`look for the volume ${name}`)`docker volume ls --quiet --filter ${`name=^${name}$`}`) !== ''
  );
}

/**
 * @param image of Nginx
 * @returns the newest certificate of certbot's volume; undefined: none was issued yet
 */
export async function readIssued(config: Config, image: string): Promise<Issued | undefined> {
  if (!(await hasAccount(config))) return undefined;
  const volumes = [`${volumeOf(config)}:/etc/letsencrypt:ro`];
  const text = await offline(config, image, volumes, READ, 'read the issued certificate');
  const key = text.indexOf('-----BEGIN PUBLIC KEY-----');
  if (text.trim() === '') return undefined;
  return key < 0
    ? { fullchain: text, publicKey: '' }
    : { fullchain: text.slice(0, key), publicKey: text.slice(key) };
}

/** Where the one-off container has the volume of Nginx. */
const TARGET = '/certificates';

/**
 * Copies the newest certificate of certbot’s volume, with its key, into that of Nginx, as a pair that is not in place yet.
 * @throws CommandError when it can't
 */
export async function copyIssued(config: Config, image: string, pair: string): Promise<void> {
  const volumes = [`${volumeOf(config)}:/etc/letsencrypt:ro`, `${projectOf(config)}_certificates:${TARGET}`];
  await offline(config, image, volumes, copyPair(LIVE, TARGET, pair), 'copy the new certificate');
}

/** Runs a script in a container without a network, of the image of Nginx, which has openssl. */
async function offline(
  config: Config,
  image: string,
  volumes: string[],
  script: string,
  purpose: string,
): Promise<string> {
  const name = containerOf(config, 'certificates');
  await removeContainer(name); // left by a killed run
  const mounts = volumes.flatMap(each => ['--volume', each]);
  const options = ['--read-only', '--pull', 'never', ...mounts, '--entrypoint', 'sh'];
  return run(runConfined(name, 'none', options, image, '-c', script), { purpose });
}
