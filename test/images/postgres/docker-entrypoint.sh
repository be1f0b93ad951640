#!/bin/bash
# Starts PostgreSQL the way the official image documents it: an empty PGDATA becomes a cluster made by the
# POSTGRES_* variables and by the files of /docker-entrypoint-initdb.d; a cluster that is there is left alone.
# Not kept: POSTGRES_INITDB_WALDIR, and users that /etc/passwd does not know.
set -eo pipefail # without -u: init files that it sources may use what is unset

log() {
  echo "docker-entrypoint: $*" >&2
}

# Sets variable $1 from the file that $1_FILE names, or to the default $2.
from_file() {
  local name=$1 file_name=$1_FILE
  if [[ -n ${!name:-} && -n ${!file_name:-} ]]; then
    log "$name and $file_name are both set; give one"
    exit 1
  fi
  local value=${!name:-${2:-}}
  if [[ -n ${!file_name:-} ]]; then value=$(<"${!file_name}"); fi
  export "$name=$value"
  unset "$file_name"
}

# Runs SQL in database $1, given to standard input or as psql's arguments.
sql() {
  PGHOST='' PGHOSTADDR='' psql --no-psqlrc --no-password --quiet -v ON_ERROR_STOP=1 \
    --username "$POSTGRES_USER" --dbname "$1" "${@:2}"
}

make_cluster() {
  local auth=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  if [[ -z $POSTGRES_PASSWORD && $auth != trust ]]; then
    log 'PGDATA is empty and the superuser would have no password: set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE'
    exit 1
  fi
  local options
  eval "options=($POSTGRES_INITDB_ARGS)" # a line of shell words, quotes included
  initdb --username="$POSTGRES_USER" --pwfile=/dev/stdin "${options[@]}" <<<"$POSTGRES_PASSWORD"
  printf '\nhost all all all %s\n' "$auth" >>"$PGDATA/pg_hba.conf"
}

run_init_files() {
  local file
  for file in /docker-entrypoint-initdb.d/*; do
    [[ -e $file ]] || continue
    log "$file"
    case $file in
      *.sh) if [[ -x $file ]]; then "$file"; else . "$file"; fi ;;
      *.sql) sql "$POSTGRES_DB" --file "$file" ;;
      *.sql.gz) gunzip --stdout "$file" | sql "$POSTGRES_DB" ;;
      *.sql.xz) xz --decompress --stdout "$file" | sql "$POSTGRES_DB" ;;
      *.sql.zst) zstd --decompress --stdout "$file" | sql "$POSTGRES_DB" ;;
      *) log 'ignored' ;;
    esac
  done
}

# Fills the cluster through a server that only this container reaches, so that no client and no health check
# over the network finds a database half made. The arguments are those of the server.
fill_cluster() {
  local arguments=''
  if (($# > 0)); then arguments=$(printf '%q ' "$@"); fi
  pg_ctl --wait --options "$arguments -c listen_addresses=''" start
  if [[ $POSTGRES_DB != postgres ]]; then
    sql postgres --set name="$POSTGRES_DB" <<<'CREATE DATABASE :"name"'
  fi
  run_init_files
  pg_ctl --wait --mode fast stop
  log 'the cluster is ready'
}

if [[ ${1:-} == -* ]]; then set -- postgres "$@"; fi

only_tells=false
for argument in "$@"; do
  case $argument in -\? | --help | --describe-config | -V | --version) only_tells=true ;; esac
done

if [[ ${1:-} == postgres && $only_tells == false ]]; then
  # Still as root, who may read secrets that postgres may not.
  from_file POSTGRES_PASSWORD
  from_file POSTGRES_USER postgres
  from_file POSTGRES_DB "$POSTGRES_USER"
  from_file POSTGRES_INITDB_ARGS

  (umask 0077 && mkdir --parents "$PGDATA")
  mkdir --parents /var/run/postgresql || true
  chmod 700 "$PGDATA" || true
  chmod 3775 /var/run/postgresql || true
  if [[ $(id --user) == 0 ]]; then
    # A new volume is root's.
    find "$PGDATA" /var/run/postgresql ! -user postgres -exec chown postgres {} +
    export HOME=/var/lib/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups "${BASH_SOURCE[0]}" "$@"
  fi
  if [[ ! -s $PGDATA/PG_VERSION ]]; then
    make_cluster
    fill_cluster "${@:2}"
  fi
fi

exec "$@"
