FROM denoland/deno:2.9.6

WORKDIR /app
COPY deno.json deno.lock ./
RUN deno install --frozen
COPY main.ts ./
COPY routes routes
COPY src src
RUN deno cache --frozen main.ts && deno task build \
  && mkdir -p /data && chown -R deno:deno /data /deno-dir

USER deno
VOLUME /data
# A container is reached from outside or not at all, so the address is any. Who may connect is said when it is run: with
# HOLDFAST_AUTH=jwt and its settings, or HOLDFAST_AUTH=none together with HOLDFAST_PUBLIC=yes. It does not start without.
ENV PORT=8080 \
  HOLDFAST_HOST=0.0.0.0 \
  HOLDFAST_KV=/data/holdfast.sqlite3
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["deno", "eval", "const r = await fetch(`http://127.0.0.1:${Deno.env.get('PORT')}/healthz`); Deno.exit(r.ok ? 0 : 1)"]
CMD ["run", "-A", "main.ts"]
