#!/bin/bash
# Runs what /docker-entrypoint.d holds before Nginx starts, and before nothing else, the way the official image
# documents it: *.envsh are sourced and *.sh run, in the order of their names, if they are executable.
set -euo pipefail

log() {
  [[ -n ${NGINX_ENTRYPOINT_QUIET_LOGS:-} ]] || echo "docker-entrypoint: $*"
}

if [[ ${1:-} == nginx || ${1:-} == nginx-debug ]]; then
  for file in /docker-entrypoint.d/*; do
    case $file in
      *.envsh | *.sh)
        if [[ ! -x $file ]]; then log "ignored $file, which is not executable"
        elif [[ $file == *.envsh ]]; then log "sources $file" && . "$file"
        else log "runs $file" && "$file"; fi
        ;;
      *) log "ignored $file" ;;
    esac
  done
fi

exec "$@"
