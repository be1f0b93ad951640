#!/bin/sh
# The Nginx image runs this before Nginx. Without a certificate Nginx does not start, and without Nginx no
# certificate is issued: so a self-signed one, for every name that the configuration serves, stands in until
# the first real one. An existing one is never touched.
set -eu
umask 077

directory=/etc/nginx/certificates
if [ -s "$directory/fullchain.pem" ] && [ -s "$directory/privkey.pem" ]; then
    exit 0
fi

configuration=$(sed -n 's/^include \(.*\);$/\/etc\/nginx\/\1/p' /etc/nginx/nginx.conf)
names=$(sed -n 's/^ *server_name \(.*\);$/\1/p' "$configuration" | tr ' ' '\n' | sort -u)
alternatives=$(echo "$names" | sed 's/^/DNS:/' | paste -sd, -)

echo "$0: no certificate in $directory; making a self-signed one for" $names
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 \
    -subj "/CN=$(echo "$names" | head -n 1)" -addext "subjectAltName=$alternatives" \
    -keyout "$directory/privkey.pem.new" -out "$directory/fullchain.pem.new" 2>/dev/null
# The key first: Nginx is not running yet, and a kill in between leaves no pair, which is made again.
mv "$directory/privkey.pem.new" "$directory/privkey.pem"
mv "$directory/fullchain.pem.new" "$directory/fullchain.pem"
