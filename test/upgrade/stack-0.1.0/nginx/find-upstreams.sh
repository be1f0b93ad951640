#!/bin/sh
# The Nginx image runs this before Nginx. Docker knows the name of a container from when it starts, and after a reboot
# containers start in any order. To Nginx "no such name" is an answer that holds for as long as `resolver … valid`
# says, and a second more: it would go on with 502 for longer than an instance takes to be ready. But it looks names
# up at once when it loads its configuration.
# So Nginx starts now and serves what it can. Beside it this waits, for at most five minutes, for each name that is not
# known yet, and then has Nginx load its configuration: the first instance to be ready may be the last one to be known.
# After that Nginx's own lookups have to do.
set -eu

# A lookup must not wait for a name server outside, whom Docker asks for names that it does not know.
export RES_OPTIONS='timeout:1 attempts:1'

# The servers of all lists that get requests.
names() {
    sed -n '/ down\b/d; s/^ *server \([A-Za-z0-9-]*\):.*/\1/p' /etc/nginx/site/upstreams/*.conf
}

is_known() {
    getent ahostsv4 "$1" >/dev/null
}

await() {
    until is_known "$1"; do
        if [ "$(date +%s)" -gt "$deadline" ]; then return; fi
        sleep 0.2
    done
    until [ -s /run/nginx.pid ]; do sleep 0.2; done
    echo "$0: $1 is there now; Nginx looks its upstreams up" >&2
    nginx -s reload
}

# All at once: each may take a second, and Nginx starts after this.
unknown=$(for name in $(names); do { is_known "$name" || echo "$name"; } & done; wait)
deadline=$(($(date +%s) + 300))
for name in $unknown; do
    echo "$0: $name is not there yet" >&2
    await "$name" &
done
