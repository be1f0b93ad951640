#!/bin/bash
# Writes each template to the configuration directory with the variables of the environment filled in, and only
# those: Nginx has variables of its own that look the same.
set -euo pipefail

from=${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}
to=${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}
suffix=${NGINX_ENVSUBST_TEMPLATE_SUFFIX:-.template}

[[ -d $from ]] || exit 0
if [[ ! -w $to ]]; then
  echo "docker-entrypoint: $to can't be written; templates are left" >&2
  exit 0
fi

variables=$(compgen -e | grep --extended-regexp "${NGINX_ENVSUBST_FILTER:-}" | sed 's/.*/${&}/' || true)
cd "$from"
find . -follow -type f -name "*$suffix" -print0 | while IFS= read -r -d '' template; do
  file=$to/${template%"$suffix"}
  mkdir --parents "$(dirname "$file")"
  envsubst "$variables" <"$template" >"$file"
done
