#!/bin/sh
# The Nginx image runs this before Nginx. What differs between products comes as variables of the container; this checks
# them and writes them as small files of Nginx's own language, which the files of this directory include. Each start
# writes them; a reload keeps them. A variable that changes needs a new container:
#   docker compose -f docker-compose.production.yml --env-file .env.production up -d nginx
# test/nginx/settings.test.ts compares what this accepts with what the scripts accept.
set -eu
export LC_ALL=C

# Another directory is for tests.
settings=${1:-/run/settings}
bad=

# refuse VARIABLE WHAT_IT_MUST_BE: goes on, so that all that is wrong is said at once. It does not print the value.
refuse() {
    echo "$0: $1: must be $2" >&2
    bad=yes
}

# Only what is allowed: all else could be another directive.
is_host_name() {
    case $1 in
        *[!a-z0-9.-]*) return 1 ;;
    esac
    [ "${#1}" -le 100 ] &&
        printf '%s\n' "$1" | grep -Eqx '([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?'
}
check_host_name() {
    is_host_name "$2" || refuse "$1" 'a host name such as acme.example: lower case, without https://, port, path or final dot; an international name in its xn-- form'
}

check_host_name DOMAIN "${DOMAIN-}"
check_host_name API_DOMAIN "${API_DOMAIN-}"
case ${DOMAIN-} in
    www.*) refuse DOMAIN 'without www.: www.<DOMAIN> is redirected to it' ;;
esac
case ${API_DOMAIN-} in
    "${DOMAIN-}" | "www.${DOMAIN-}") refuse API_DOMAIN 'another name than DOMAIN and www.<DOMAIN>' ;;
esac

if [ "$bad" ]; then
    echo "$0: correct the env file, then run (for staging, with its two files):" >&2
    echo '  docker compose -f docker-compose.production.yml --env-file .env.production up -d nginx' >&2
    exit 1
fi

# The directory appears whole: Nginx, and whoever tests its configuration, never sees half of it.
rm -rf "$settings.new" "$settings"
mkdir -p "$settings.new"
cd "$settings.new"

echo "server_name $DOMAIN www.$DOMAIN $API_DOMAIN;" >all-names.conf
echo "server_name $DOMAIN;" >site-name.conf
echo "server_name www.$DOMAIN;" >www-name.conf
echo "server_name $API_DOMAIN;" >api-name.conf
cat >names.conf <<END
# The names as variables, and which part of the product a server is: site, api, or for an unknown name nothing.
map \$server_name \$site_name {
    default $DOMAIN;
}
map \$server_name \$api_name {
    default $API_DOMAIN;
}
map \$server_name \$part {
    ""          "";
    $API_DOMAIN api;
    default     site;
}
END

mv "$settings.new" "$settings"
