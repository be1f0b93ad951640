#!/bin/sh
# The Nginx image runs this before Nginx. What differs between products comes as variables of the container; this checks
# them and writes them as small files of Nginx's own language, which the files of this directory include. Each start
# writes them; a reload keeps them. A variable that changes needs a new container:
#   docker compose -f docker-compose.production.yml --env-file .env.production up -d --timeout=5 nginx
# test/nginx/settings.test.ts compares what this accepts with what the scripts accept.
set -eu
export LC_ALL=C

# Other directories are for tests.
settings=${1:-/run/settings}
lists=${2:-/etc/nginx/site/upstreams}
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

# check VARIABLE PATTERN CHARACTERS WHAT_IT_MUST_BE: the characters too, because grep looks at each line by itself.
check() {
    eval "value=\${$1-}"
    case $value in
        *[!$3]*) refuse "$1" "$4" ;;
        *) printf '%s\n' "$value" | grep -Eqx -e "$2" || refuse "$1" "$4" ;;
    esac
}
# The same for a value that may be empty.
check_any() {
    eval "value=\${$1-}"
    [ -z "$value" ] || check "$@"
}

# The patterns of scripts/lib/config/application-variables.ts.
path='(/[A-Za-z0-9_][A-Za-z0-9_.~-]*)+'
upload="$path:[1-9][0-9]{0,3}[km]"
byte='(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])'
v4="$byte(\\.$byte){3}(/([89]|[12][0-9]|3[0-2]))?"
v6='[0-9a-f]{1,4}(:[0-9a-f]{0,4}){2,7}(/(1[6-9]|[2-9][0-9]|1[01][0-9]|12[0-8]))?'
in_path='A-Za-z0-9_.~/-'
check HEALTH_PATH "$path" "$in_path" 'a path such as /health/ready'
check READY_PATH "$path" "$in_path" 'a path such as /health/ready'
check METRICS_PATH "$path|none" "$in_path" 'a path such as /metrics, or none'
check UPLOAD_PATHS "$upload(,$upload)*" ",:$in_path" 'paths, each with the size of a request, such as /api/v1/uploads:50m'
others='paths outside of /api and /socket.io, such as /webhooks,/oauth'
check_any PUBLIC_PATHS "$path(,$path)*" ",$in_path" "$others"
case ,$(printf %s "${PUBLIC_PATHS-}" | tr A-Z a-z), in
    *,/api[,/]* | *,/socket.io[,/]*) refuse PUBLIC_PATHS "$others" ;;
esac
check_any ADMIN_PATHS "$path(,$path)*" ",$in_path" 'paths such as /webhooks,/oauth'
check_any ADMIN_ALLOW "($v4|$v6)(,($v4|$v6))*" '0-9a-f.,:/' 'addresses or networks, such as 203.0.113.7,10.8.0.0/16'
check_any ADMIN_HASHED_PASSWORD '\$(5|6|apr1)\$[A-Za-z0-9./=$]{20,200}' 'A-Za-z0-9./=$' 'what `openssl passwd -6` prints, between single quotes'
if [ "${ADMIN_PATHS-}" ] && [ -z "${ADMIN_ALLOW-}${ADMIN_HASHED_PASSWORD-}" ]; then
    refuse ADMIN_PATHS 'with ADMIN_HASHED_PASSWORD or ADMIN_ALLOW, or everybody reaches them'
fi

# The lists of servers have the ports, too. The scripts write them right, and an operator the first time.
for part in backend frontend; do
    variable=$(echo "$part" | tr a-z A-Z)_PORT
    check "$variable" '[1-9][0-9]{0,4}' 0-9 'a port number'
    server="\\( *server $part[-0-9]*\\):"
    [ -z "$bad" ] && sed -n "s/^$server\\([0-9]*\\).*/\\2/p" "$lists/$part.conf" | grep -qvx "$value" || continue
    refuse "$variable" "the port in nginx/upstreams/$part.conf; this command corrects the list:"
    printf "  sed -i 's/^%s[0-9]*/\\\\1:%s/' nginx/upstreams/%s.conf\n" "$server" "$value" "$part" >&2
done

if [ "$bad" ]; then
    echo "$0: correct the env file, then run (for staging, with its two files):" >&2
    echo '  docker compose -f docker-compose.production.yml --env-file .env.production up -d --timeout=5 nginx' >&2
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

# pattern PATH: of the path and of all below it, without regard to case, as Express matches.
pattern() {
    printf '^%s(?:/|$)' "$(printf %s "$1" | sed 's/\./\\./g')"
}
each() {
    printf '%s\n' "$1" | tr ',' '\n'
}
# Without arguments, or with an empty one, nothing.
each_path() {
    [ -z "$1" ] || each "$1"
}

# What visitors must not reach, before all else of the API's server.
{
    [ "$METRICS_PATH" = none ] || printf 'location ~* %s {\n    return 404;\n}\n' "$(pattern "$METRICS_PATH")"
    each_path "${ADMIN_PATHS-}" | while read -r admin; do
        printf 'location ~* %s {\n    include /run/settings/admins.conf;\n' "$(pattern "$admin")"
        printf '    include site/snippets/admin.conf;\n}\n'
    done
} >guarded-paths.conf

# What the API has beside /api/, and what of it takes more than the rest.
{
    each "$HEALTH_PATH,$READY_PATH,${PUBLIC_PATHS-}" | while read -r public; do
        [ -z "$public" ] || printf 'location ~* %s {\n    include site/snippets/uncached.conf;\n}\n' "$(pattern "$public")"
    done
    each "$UPLOAD_PATHS" | while IFS=: read -r upload size; do
        printf 'location ~* %s {\n    client_max_body_size %s;\n' "$(pattern "$upload")" "$size"
        printf '    include site/snippets/upload.conf;\n}\n'
    done
} >open-paths.conf

# Who may see the pages for administrators, and which these are.
{
    each_path "${ADMIN_ALLOW-}" | sed 's/.*/allow &;/'
    [ -z "${ADMIN_ALLOW-}" ] || echo 'deny all;'
    if [ "${ADMIN_HASHED_PASSWORD-}" ]; then
        echo 'auth_basic administrators;'
        echo 'auth_basic_user_file /run/settings/admin-password;'
        # The password is for Nginx; the application has tokens of its own.
        echo 'proxy_set_header Authorization "";'
    fi
} >admins.conf
each_path "${ADMIN_PATHS-}" | while read -r admin; do
    echo "\"~*$(pattern "$admin")\" 1;"
done >admin-paths.conf
if [ "${ADMIN_HASHED_PASSWORD-}" ]; then
    (umask 077 && printf 'admin:%s\n' "$ADMIN_HASHED_PASSWORD" >admin-password)
    # The workers read it for each request. A machine that tests this has no such user.
    ! id -u nginx >/dev/null 2>&1 || chown nginx admin-password
fi

# Nginx's own health check.
for upstream in backend backend_sticky; do
    printf 'location = /reach/%s {\n    proxy_pass http://%s%s;\n}\n' "$upstream" "$upstream" "$HEALTH_PATH"
done >reach.conf

mv "$settings.new" "$settings"
