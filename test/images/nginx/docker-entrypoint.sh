#!/bin/bash
# Runs what /docker-entrypoint.d holds before Nginx starts, and before nothing else, the way the official image
# documents it: *.envsh are sourced and *.sh run, in the order of their names, if they are executable.
set -eo pipefail # without -u: files that it sources may use what is unset

log() {
  [[ -n $NGINX_ENTRYPOINT_QUIET_LOGS ]] || echo "docker-entrypoint: $*"
}

if [[ $1 == nginx || $1 == nginx-debug ]]; then
  for file in /docker-entrypoint.d/*; do
    case $file in
      *.envsh | *.sh)
        if [[ ! -x $file ]]; then
          log "ignores $file, which is not executable"
          continue
        fi
        log "$file"
        if [[ $file == *.envsh ]]; then . "$file"; else "$file"; fi
        ;;
      *) log "ignores $file" ;;
    esac
  done
fi

exec "$@"
