#!/bin/bash
# Makes the roles of the application and of backups on a new server, once, before it takes connections from the network.
# An executable file of /docker-entrypoint-initdb.d. Names and passwords come from the container's environment.
#
# No statement holds a password: psql's \password sends what the server keeps of it (a SCRAM verifier), so that neither
# the log (log_statement=ddl), nor pg_stat_statements, nor the list of processes shows one. test/integration/new-roles.test.ts
set -euo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# As in scripts/lib/config/config.ts.
default=${APP_NAME:?}
default=${default//-/_}
[[ $default == [a-z]* ]] || default=app_$default
app=${APP_DB_USER:-$default}
backup=${BACKUP_DB_USER:-backup}

for name in "$app" "$backup"; do
  if [[ ! $name =~ ^[a-z][a-z0-9_]{0,62}$ || $name == pg_* || $name == "$POSTGRES_USER" ]]; then
    echo "make-roles: $name can't be the name of a role: lower-case letters, digits and _, not pg_…, not POSTGRES_USER" >&2
    exit 1
  fi
done
if [[ $app == "$backup" ]]; then
  echo 'make-roles: APP_DB_USER and BACKUP_DB_USER are the same' >&2
  exit 1
fi

sql() {
  psql --no-psqlrc --no-password --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" "$@"
}

sql --single-transaction --set=app="$app" --set=backup="$backup" --set=database="$POSTGRES_DB" \
  --file=- --file="$here/roles.psql" <<'SQL'
CREATE ROLE :"app";
CREATE ROLE :"backup";
ALTER SCHEMA public OWNER TO :"app";
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
SQL

# Asks for the password twice: on the terminal, and without one (setsid) on standard input.
set_password() {
  if [[ -z $2 ]]; then
    echo "make-roles: $1 has no password and can't log in; ./scripts/database-roles.ts gives it one" >&2
    return
  fi
  printf '%s\n%s\n' "$2" "$2" | setsid --wait psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" \
    --dbname="$POSTGRES_DB" --command="\\password $1"
}
set_password "$app" "${APP_DB_PASSWORD:-}"
set_password "$backup" "${BACKUP_DB_PASSWORD:-}"
