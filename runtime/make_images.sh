#!/usr/bin/env bash
# Makes the images that functions run in:
#   rie-server/pythonX.Y    for zip functions, and as the base of function images
#   rie-server/thumbnail    the example function image
#   rie-server/server       the server itself, only with the argument "server"
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

# Shows what a build says only when it fails.
docker_build() {
    local output
    output="$(docker build "$@" 2>&1)" || { printf '%s\n' "$output" >&2; exit 1; }
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
    docker_build --label "rie.inputs=$inputs" --build-arg "BASE_IMAGE=$base" --tag "$tag" "$folder"
}

choose_base
version="$(docker run --rm --network none --entrypoint python3 "$BASE_IMAGE" \
    -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
say "base $BASE_IMAGE, Python $version"

# wheels FOLDER STAMP PACKAGE...: downloads unless the folder was filled for the same stamp. Without wheels a build
# installs from its own network.
wheels() {
    local folder="$1" stamp="$2"
    shift 2
    if [ "$(cat "$folder/.stamp" 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    rm -rf "$folder"
    if download "$folder" "$@"; then
        echo "$stamp" >"$folder/.stamp"
    else
        say "no wheels for $folder could be downloaded"
        rm -rf "$folder"
    fi
}

wheels runtime/python/wheels "$version" awslambdaric
build "rie-server/python$version" runtime/python "$BASE_IMAGE"

if [ -f functions/thumbnail/Dockerfile ]; then
    requirements=functions/thumbnail/requirements.txt
    wheels functions/thumbnail/wheels "$version $(sha256sum <"$requirements")" -r "$requirements"
    build rie-server/thumbnail functions/thumbnail "rie-server/python$version"
fi

if [ "${1:-}" = server ]; then
    # setuptools and wheel: the build needs them, and inside it there may be no network.
    packages=()
    while IFS= read -r package; do packages+=("$package"); done < <("$python" - <<'END'
import tomllib
with open("pyproject.toml", "rb") as file:
    settings = tomllib.load(file)
project = settings["project"]
print(*settings["build-system"]["requires"], *project["dependencies"], *project["optional-dependencies"]["docker"], "wheel", sep="\n")
END
    )
    wheels build/wheels "$version $(sha256sum <pyproject.toml)" "${packages[@]}"
    say "building rie-server/server"
    docker_build --build-arg "BASE_IMAGE=$BASE_IMAGE" --tag rie-server/server .
fi
