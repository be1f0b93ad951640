#!/bin/bash
# Starts Redis the way the official image documents it: options or a *.conf file alone mean redis-server, which
# never runs as root.
set -euo pipefail

if [[ ${1:-} == -* || ${1:-} == *.conf ]]; then set -- redis-server "$@"; fi

if [[ ${1:-} == redis-server && $(id -u) == 0 ]]; then
  find . ! -user redis -exec chown redis {} +
  exec setpriv --reuid=redis --regid=redis --init-groups "${BASH_SOURCE[0]}" "$@"
fi

if [[ ${1:-} == redis-server ]]; then
  if [[ $(umask) == 0022 ]]; then umask 0077; fi
  # The official build has protected mode off unless it is asked for: other containers are not 127.0.0.1.
  if ! grep --quiet --no-messages --word-regexp -- protected-mode <(printf '%s\n' "$@") "${2:-/dev/null}"; then
    set -- "$@" --protected-mode no
  fi
fi

exec "$@"
