# The server itself. Functions run in sibling containers through a mounted Docker socket, or as processes in here:
#
#   docker run --rm --init -p 127.0.0.1:9000:9000 -v rie-data:/var/lib/rie \
#       -v /var/run/docker.sock:/var/run/docker.sock --group-add "$(stat -c %g /var/run/docker.sock)" rie-server/server
#
# The data folder must be a volume or a folder of the host: the engine mounts function code from there.
# Wheels in build/wheels make it build offline.
ARG BASE_IMAGE=python:3.12-slim
FROM ${BASE_IMAGE}

# The patterns let the build go on where there is no README or no wheels folder.
COPY pyproject.toml LICENSE README.m[d] /tmp/rie/
COPY LICENSE build/wheel[s] /tmp/rie/wheels/
COPY rie_server /tmp/rie/rie_server
RUN set -eu; \
    if ls /tmp/rie/wheels/*.whl >/dev/null 2>&1; then source="--no-index --find-links /tmp/rie/wheels"; else source=""; fi; \
    PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore \
        python3 -m pip install --no-cache-dir --disable-pip-version-check $source "/tmp/rie[docker]"; \
    rm -rf /tmp/rie; \
    mkdir -p /var/lib/rie; \
    chown 10001:10001 /var/lib/rie

# Published ports lead to the container's own address, so the server must listen there; which machines reach it is
# decided by -p.
ENV RIE_HOST=0.0.0.0 RIE_DATA_DIR=/var/lib/rie PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/rie
VOLUME /var/lib/rie
EXPOSE 9000
ENTRYPOINT ["rie"]
CMD ["serve"]
