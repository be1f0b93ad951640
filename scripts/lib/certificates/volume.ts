/**
 * The volume with the certificate that Nginx serves. Certificate, chain and key are one directory, `pair-<id>`, which never
 * changes; `current` is a link to the one that is served, `previous` to the one before. The two files that Nginx reads are
 * links through `current`: one rename changes both, and a kill at any moment leaves a pair that fits.
 *
 * The commands are made here as shell scripts, for Nginx's container or a one-off one, so that a test runs them without an
 * engine.
 */
import { hash } from 'node:crypto';

/** Where Nginx has the volume: nginx/snippets/certificate.conf. */
export const CERTIFICATES = '/etc/nginx/certificates';

/** @returns the directory of a pair: the chain names it, since its key belongs to no other */
export const pairOf = (fullchain: string): string => `pair-${hash('sha256', fullchain).slice(0, 32)}`;

const START = (directory: string) => `set -eu
umask 077
cd ${directory}
point() { rm -rf "$1.new"; ln -s "$2" "$1.new"; mv -T "$1.new" "$1"; }`;

/*
 * Two files of an operator, or those that the start of Nginx has made, become a pair, so that they can be put back. Each
 * step leaves both paths with the same content.
 */
const ADOPT = `
is_linked() { [ "$(readlink $1)" = "current/$1" ]; }
if ! { is_linked fullchain.pem && is_linked privkey.pem; } && [ -s fullchain.pem ] && [ -s privkey.pem ]; then
  pair=pair-$(cat fullchain.pem privkey.pem | sha256sum | cut -c 1-32)
  rm -rf adopted.partial
  mkdir adopted.partial
  cp fullchain.pem privkey.pem adopted.partial/
  sync adopted.partial/* adopted.partial
  [ -d "$pair" ] || mv -T adopted.partial "$pair"
  point current "$pair"
  point privkey.pem current/privkey.pem
  point fullchain.pem current/fullchain.pem
fi`;

/** Makes a pair the one that Nginx loads next, and what was in place the previous one. It may be in place already. */
export const switchTo = (directory: string, pair: string): string => `${START(directory)}
[ -s ${pair}/fullchain.pem ]
[ -s ${pair}/privkey.pem ]
${ADOPT}
now=$(readlink current || true)
[ -z "$now" ] || [ "$now" = ${pair} ] || point previous "$now"
point current ${pair}
is_linked privkey.pem || point privkey.pem current/privkey.pem
is_linked fullchain.pem || point fullchain.pem current/fullchain.pem
sync .`;

/** Makes the previous pair the one that Nginx loads next. Prints its directory; nothing where there is none. */
export const switchBack = (directory: string): string => `${START(directory)}
before=$(readlink previous || true)
if [ -n "$before" ] && [ -s "$before/fullchain.pem" ] && [ -s "$before/privkey.pem" ]; then
  point current "$before"
  sync .
  echo "$before"
fi`;

/** Removes what killed runs have left, and pairs that are neither in place nor the previous one. */
export const removeOthers = (directory: string): string => `${START(directory)}
rm -rf ./*.partial ./*.new ./*.wrong
for pair in pair-*; do
  [ "$pair" = "$(readlink current || true)" ] || [ "$pair" = "$(readlink previous || true)" ] || rm -rf "./$pair"
done`;

/** Copies a pair from a directory into the volume, whole or not at all. */
export const copyPair = (source: string, directory: string, pair: string): string => `${START(directory)}
if ! [ -d ${pair} ]; then
  rm -rf ${pair}.partial
  mkdir ${pair}.partial
  cat ${source}/fullchain.pem >${pair}.partial/fullchain.pem
  cat ${source}/privkey.pem >${pair}.partial/privkey.pem
  sync ${pair}.partial/* ${pair}.partial
  mv -T ${pair}.partial ${pair}
  sync .
fi`;

/** Prints `linked` where the files that Nginx reads are those of a pair. */
export const isLinked = (directory: string): string =>
  `[ "$(readlink ${directory}/fullchain.pem)" != current/fullchain.pem ] || echo linked`;

/** Has Nginx itself read a pair, in a configuration of its own, before the pair is put in place. */
export const loadable = (directory: string, pair: string): string => `set -eu
umask 077
own=$(mktemp -d)
trap 'rm -rf "$own"' EXIT
cat >"$own/nginx.conf" <<END
pid $own/pid;
error_log stderr;
events {}
http {
  access_log off;
  server {
    listen unix:$own/socket ssl;
    ssl_certificate ${directory}/${pair}/fullchain.pem;
    ssl_certificate_key ${directory}/${pair}/privkey.pem;
  }
}
END
nginx -t -q -c "$own/nginx.conf"`;

/** Makes a self-signed pair, with the names that Nginx serves. Prints its directory, and then its certificate. */
export const selfSigned = (directory: string): string => `${START(directory)}
rm -rf own.partial
mkdir own.partial
sh /etc/nginx/site/bootstrap-certificate.sh ${directory}/own.partial
pair=pair-$(sha256sum <own.partial/fullchain.pem | cut -c 1-32)
sync own.partial/* own.partial
mv -T own.partial "$pair"
echo "$pair"
cat "$pair/fullchain.pem"`;
