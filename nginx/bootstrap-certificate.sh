#!/bin/sh
# The Nginx image runs this before Nginx. Without a certificate Nginx does not start, and without Nginx no
# certificate is issued: so a self-signed one, for every name that is served, stands in until the first real one. An
# issued one is never touched; the temporary one is replaced when the names are others.
# Called with a directory, as scripts/certificates.ts does, it makes one there and looks at no other.
set -eu
umask 077

directory=${1:-/etc/nginx/certificates}
subject='CN=temporary certificate'
names=$(sed 's/^server_name \(.*\);$/\1/' /run/settings/all-names.conf)

# Whether the certificate that is there is not ours to replace, or good for these names.
is_good() {
    [ -s "$directory/fullchain.pem" ] && [ -s "$directory/privkey.pem" ] || return 1
    shown=$(openssl x509 -noout -subject -nameopt RFC2253 -in "$directory/fullchain.pem" 2>/dev/null) || return 0
    [ "$shown" = "subject=$subject" ] || return 0
    for name in $names; do
        openssl x509 -noout -checkhost "$name" -in "$directory/fullchain.pem" | grep -q 'does match' || return 1
    done
}
if [ $# -eq 0 ] && is_good; then
    exit 0
fi

echo "$0: making a self-signed certificate in $directory for" $names >&2
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 \
    -subj "/$subject" -addext "subjectAltName=DNS:$(echo "$names" | sed 's/ /,DNS:/g')" \
    -keyout "$directory/privkey.pem.new" -out "$directory/fullchain.pem.new" 2>/dev/null
# The key first: Nginx is not running yet, and a kill in between leaves no pair, which is made again.
mv "$directory/privkey.pem.new" "$directory/privkey.pem"
mv "$directory/fullchain.pem.new" "$directory/fullchain.pem"
