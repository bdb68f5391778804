# Serves /data/disk.img on port 10809 as a user without rights, with metrics, health and a status page on port 9809. Mount a
# directory with disk.img at /data; user 65532 has to be able to read and write the file. The root may be read-only, and
# no capability is needed.

FROM node:20-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 make g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /app
# The headers that the image brings, instead of a download.
ENV npm_config_nodedir=/usr/local
COPY package.json package-lock.json binding.gyp tsconfig.json tsconfig.build.json ./
COPY scripts/bundle.mjs scripts/install.mjs scripts/
COPY addon addon
COPY src src
COPY page page
RUN npm ci && npm prune --omit=dev --ignore-scripts

FROM node:20-bookworm-slim
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/build/Release/aionbd.node build/Release/
COPY --from=build /app/dist dist
RUN chmod 755 dist/cli/main.js && ln -s /app/dist/cli/main.js /usr/local/bin/aionbd
USER 65532:65532
EXPOSE 10809 9809
HEALTHCHECK --interval=10s --timeout=6s --start-period=5s --retries=2 \
    CMD ["node", "-e", "fetch('http://127.0.0.1:9809/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# SIGTERM ends it cleanly within five seconds.
STOPSIGNAL SIGTERM
ENTRYPOINT ["aionbd"]
CMD ["serve", "/data/disk.img", "--listen", "0.0.0.0:10809", "--metrics", "0.0.0.0:9809", "--on-stop", "disconnect"]
