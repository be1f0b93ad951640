#!/bin/sh
# The Nginx image runs this before Nginx. Docker knows the name of a container from when it starts, and after a reboot
# containers start in any order. To Nginx "no such name" is an answer that holds for as long as `resolver … valid`
# says, and a second more: it would go on with 502 for longer than an instance takes to be ready. But it looks names
# up at once when it loads its configuration.
# So Nginx starts now and serves what it can. Beside it, for each list of which it can find nobody yet, this waits for
# the first name and then has Nginx load its configuration. After five minutes Nginx's own lookups have to do.
set -eu

lists=/etc/nginx/site/upstreams
# A lookup must not wait for a name server outside, whom Docker asks for names that it does not know.
export RES_OPTIONS='timeout:1 attempts:1'

# The servers of a list that get requests.
names() {
    sed -n '/ down\b/d; s/^ *server \([A-Za-z0-9-]*\):.*/\1/p' "$1"
}

is_known() {
    getent ahostsv4 "$1" >/dev/null
}

# Waits for a server of a list, and has Nginx look it up if it is the first one of its list.
await() {
    until is_known "$2"; do
        if [ -e "/run/found-$1" ] || [ "$(date +%s)" -gt "$deadline" ]; then return; fi
        sleep 0.2
    done
    mkdir "/run/found-$1" 2>/dev/null || return 0
    until [ -s /run/nginx.pid ]; do sleep 0.2; done
    echo "$0: $2 is there now; Nginx looks its upstreams up" >&2
    nginx -s reload
}

deadline=$(($(date +%s) + 300))
for path in "$lists"/*.conf; do
    list=$(basename "$path" .conf)
    found=
    for name in $(names "$path"); do
        if is_known "$name"; then found=yes && break; fi
    done
    if [ "$found" ]; then continue; fi
    echo "$0: no server of upstreams/$list.conf is there yet" >&2
    for name in $(names "$path"); do await "$list" "$name" & done
done
