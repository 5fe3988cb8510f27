# Quietroom as `make run` installs it: the same lock file through the same script, and not as root.
#
#   docker build -t quietroom .
#
# It listens on the container's loopback until it is given a certificate or a proxy: README.md, "Deploy", has the
# command that reaches it from outside.

FROM python:3.11-slim-bookworm

RUN useradd --system --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin quietroom \
    && install --directory --owner quietroom --group quietroom --mode 0700 /data

WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1 \
    QUIETROOM_DATA_DIR=/data

# .dockerignore lets in only what runs.
COPY . .
RUN .ci/install .venv requirements.lock

USER quietroom
VOLUME /data
# Behind a proxy media has a port of its own, 8444 for UDP and TCP: publish that one instead of 8443/udp.
EXPOSE 8443/tcp
EXPOSE 8443/udp

HEALTHCHECK --interval=15s --timeout=5s --start-period=10s CMD ["quietroom", "doctor", "--live"]
# Docker's SIGTERM lets running visits end, for as long as --stop-timeout says; see docs/operations.md.
STOPSIGNAL SIGTERM
CMD ["quietroom", "serve"]
