# The backup service's image: the scripts of this repository with PostgreSQL 15's own client programs. It is
# built on the server by `docker compose build backup`; nothing of it changes between releases of the product.
FROM node:24.21.0-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# Without --legacy-peer-deps npm installs TypeScript as well, 30 MB, because valibot names it as an optional peer.
RUN npm ci --omit=dev --ignore-scripts --legacy-peer-deps

FROM node:24.21.0-bookworm-slim
# Debian 12's client is 15, the server's major: an older one refuses to dump, a newer one writes what 15 can't read.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates postgresql-client-15 zstd \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY package.json ./
COPY scripts scripts
# What Node compiles is kept where the service may write, on its tmpfs: the health check starts a script every 30 s.
RUN ln -s /tmp node_modules/.cache
USER node
CMD ["./scripts/schedule.ts", "run"]
