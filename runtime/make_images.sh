#!/usr/bin/env bash
# Makes the images that functions run in:
#   rie-server/pythonX.Y    for zip functions, and as the base of function images
#   rie-server/thumbnail    the example function image
# BASE_IMAGE chooses the base (default: python:3.12-slim; where no registry answers, Debian made on the spot).
# Idempotent: an image whose inputs have not changed is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."
export DOCKER_BUILDKIT=0 # the classic builder is everywhere

local_base=rie-server/base
python="${PYTHON:-python3}"
[ -x .venv/bin/python ] && python=.venv/bin/python

say() { printf 'images: %s\n' "$*"; }

has_image() { docker image inspect "$1" >/dev/null 2>&1; }

make_local_base() {
    command -v mmdebstrap >/dev/null || { say "no registry answers and mmdebstrap is not installed" >&2; exit 1; }
    say "no registry answers: making a Debian base (about half a minute)"
    local folder
    folder="$(mktemp -d)"
    chmod 755 "$folder"
    mmdebstrap --quiet --variant=minbase --include=python3,python3-pip,ca-certificates bookworm "$folder/base.tar"
    docker import "$folder/base.tar" "$local_base" >/dev/null
    rm -rf "$folder"
}

choose_base() {
    if [ -n "${BASE_IMAGE:-}" ]; then
        has_image "$BASE_IMAGE" || docker pull "$BASE_IMAGE"
    elif has_image "$local_base"; then
        BASE_IMAGE="$local_base"
    elif has_image python:3.12-slim || timeout 120 docker pull python:3.12-slim >/dev/null 2>&1; then
        BASE_IMAGE=python:3.12-slim
    else
        make_local_base
        BASE_IMAGE="$local_base"
    fi
}

# download FOLDER PACKAGE...: wheels for the Python inside the base image, not for this machine's.
download() {
    local folder="$1" machine
    shift
    machine="$(docker image inspect --format '{{.Architecture}}' "$BASE_IMAGE")"
    case "$machine" in arm64) machine=aarch64 ;; *) machine=x86_64 ;; esac
    mkdir -p "$folder"
    "$python" -m pip download --quiet --disable-pip-version-check --dest "$folder" --only-binary=:all: \
        --implementation cp --python-version "$version" --platform "manylinux_2_28_$machine" \
        --platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine" "$@"
}

# build TAG FOLDER BASE: builds unless the image was made from the very same inputs.
build() {
    local tag="$1" folder="$2" base="$3" inputs
    inputs="$(
        {
            docker image inspect --format '{{.Id}}' "$base"
            find "$folder" -type f -not -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum
        } | sha256sum | cut -c1-64
    )"
    if [ "$(docker image inspect --format '{{index .Config.Labels "rie.inputs"}}' "$tag" 2>/dev/null)" = "$inputs" ]; then
        say "$tag is up to date"
        return
    fi
    say "building $tag"
    docker build --quiet --label "rie.inputs=$inputs" --build-arg "BASE_IMAGE=$base" --tag "$tag" "$folder" >/dev/null
}

choose_base
version="$(docker run --rm --network none --entrypoint python3 "$BASE_IMAGE" \
    -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
say "base $BASE_IMAGE, Python $version"

# Wheels of another Python are not for this base.
if [ "$(cat runtime/python/wheels/.python 2>/dev/null)" != "$version" ]; then
    rm -rf runtime/python/wheels
    if download runtime/python/wheels awslambdaric; then
        echo "$version" >runtime/python/wheels/.python
    else
        say "no wheels could be downloaded; the build installs from its own network"
        rm -rf runtime/python/wheels
    fi
fi
build "rie-server/python$version" runtime/python "$BASE_IMAGE"

if [ -f functions/thumbnail/Dockerfile ]; then
    if [ "$(cat functions/thumbnail/wheels/.python 2>/dev/null)" != "$version" ]; then
        rm -rf functions/thumbnail/wheels
        if download functions/thumbnail/wheels pillow; then
            echo "$version" >functions/thumbnail/wheels/.python
        else
            rm -rf functions/thumbnail/wheels
        fi
    fi
    build rie-server/thumbnail functions/thumbnail "rie-server/python$version"
fi
