#!/bin/bash
# A real Nginx that refuses, with the logs, the limits and the trust in Cloudflare of this repository, on port 80; and a
# `docker` whose only verb shows its logs.
set -euo pipefail
site=$1
mkdir -p /srv/refusing /var/lib/nginx
printf 'admin:%s\n' "$(openssl passwd -6 secret)" >/srv/refusing/password
chmod 644 /srv/refusing/password
cat >/srv/refusing/nginx.conf <<END
user www-data;
error_log stderr warn;
daemon off;
events {}
http {
    include $site/nginx/snippets/cloudflare.conf;
    include $site/nginx/snippets/logging.conf;
    map "" \$preflight {
        default "";
    }
    include $site/nginx/snippets/limits.conf;
    server {
        listen 80;
        location /admin {
            auth_basic administrators;
            auth_basic_user_file /srv/refusing/password;
            root /srv;
        }
        location /api/ {
            proxy_pass http://127.0.0.1:3000;
        }
        location /limited {
            limit_req zone=api burst=5 nodelay;
            root /srv;
        }
    }
    server {
        listen 127.0.0.1:3000;
        access_log off;
        return 401;
    }
}
END
systemd-run --quiet --unit refusing-nginx sh -c 'exec nginx -c /srv/refusing/nginx.conf 2>&1 | cat >>/srv/refusing/log'
cat >/usr/local/bin/docker <<'END'
#!/bin/sh
[ "$1 $5" = 'logs acme-nginx-production' ] || exit 1
exec tail -n 0 -F /srv/refusing/log
END
chmod 755 /usr/local/bin/docker
