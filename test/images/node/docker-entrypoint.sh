#!/bin/sh
# Options, and what is no program, are meant for node, as in the official image.
set -eu

case ${1:-} in
  -*) set -- node "$@" ;;
  ?*) if ! command -v "$1" >/dev/null || { [ -f "$1" ] && [ ! -x "$1" ]; }; then set -- node "$@"; fi ;;
esac
exec "$@"
